-- Chat: what is said in rooms and between two people, the rooms it is said in, and who must be silent.
CREATE TABLE chat_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    room TEXT CHECK (length(room) BETWEEN 1 AND 64),
    speaker TEXT NOT NULL CHECK (speaker = 'user' OR speaker = 'guest' OR speaker = 'system'),
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    to_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    username TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    deleted_by TEXT REFERENCES users (id) ON DELETE SET NULL,
    content TEXT NOT NULL CHECK (length(content) <= 2000),
    CHECK ((room IS NULL) = (to_id IS NOT NULL)),
    CHECK ((user_id IS NULL) = (speaker <> 'user')),
    CHECK (to_id IS NULL OR user_id IS NOT NULL),
    CHECK ((deleted_at IS NULL) = (length(content) > 0))
) STRICT;

CREATE INDEX chat_messages_by_room ON chat_messages (room) WHERE room IS NOT NULL;
CREATE INDEX chat_messages_by_pair ON chat_messages (min(user_id, to_id), max(user_id, to_id))
    WHERE to_id IS NOT NULL;
CREATE INDEX chat_messages_by_user ON chat_messages (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX chat_messages_by_recipient ON chat_messages (to_id) WHERE to_id IS NOT NULL;
CREATE INDEX chat_messages_by_deleter ON chat_messages (deleted_by) WHERE deleted_by IS NOT NULL;

CREATE TABLE chat_rooms (
    room TEXT PRIMARY KEY,
    last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_rooms_by_last ON chat_rooms (last_at);

CREATE TABLE chat_mutes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    room TEXT NOT NULL,
    until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    muted_by TEXT REFERENCES users (id) ON DELETE SET NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (user_id, room)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_mutes_by_end ON chat_mutes (until);
CREATE INDEX chat_mutes_by_muter ON chat_mutes (muted_by) WHERE muted_by IS NOT NULL;
