-- Chat of people without an account: who of them must be silent, and how much of what they say is kept.
-- schema.sql in the repository's root explains each column.
CREATE TABLE chat_guest_mutes (
    name_key TEXT NOT NULL,
    room TEXT NOT NULL,
    username TEXT NOT NULL,
    until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    muted_by TEXT REFERENCES users (id) ON DELETE SET NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (name_key, room)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_guest_mutes_by_end ON chat_guest_mutes (until);
CREATE INDEX chat_guest_mutes_by_muter ON chat_guest_mutes (muted_by) WHERE muted_by IS NOT NULL;

CREATE INDEX chat_messages_by_guests ON chat_messages (id) WHERE speaker = 'guest';
