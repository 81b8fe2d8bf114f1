//! What the second family's clients send, read into the calls' arguments.
