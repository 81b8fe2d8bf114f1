-- What comes and goes with an account: refresh tokens, and the ids of those who left.

CREATE TABLE refresh_tokens (
    family BLOB NOT NULL PRIMARY KEY CHECK (length(family) = 32),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token BLOB NOT NULL CHECK (length(token) = 32),
    begun_at INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_by_user ON refresh_tokens (user_id);

CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

CREATE TRIGGER refresh_tokens_are_voided AFTER UPDATE OF valid_from ON users
BEGIN
    UPDATE refresh_tokens SET revoked_at = new.valid_from * 1000 WHERE user_id = new.id AND revoked_at IS NULL;
END;

CREATE TABLE deleted_users (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    valid_from INTEGER NOT NULL CHECK (valid_from >= 0),
    erased INTEGER NOT NULL CHECK (erased IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX deleted_users_by_valid_from ON deleted_users (erased, valid_from);

-- The history no longer refers to users: without an index by user, deleting one read all of it to find
-- no row. A table can't lose a reference, so it is made anew, with the numbers that were given.
ALTER TABLE history RENAME TO history_before;

CREATE TABLE history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    chapter_thousandths INTEGER NOT NULL CHECK (chapter_thousandths >= 0),
    volume INTEGER,
    page INTEGER,
    status TEXT NOT NULL
        CHECK (status IN ('reading', 'completed', 'plan_to_read', 'on_hold', 'dropped', 're_reading')),
    device TEXT,
    read_at INTEGER,
    recorded_at INTEGER NOT NULL,
    previous_seq INTEGER CHECK (previous_seq < seq)
) STRICT;

INSERT INTO history SELECT * FROM history_before;

DELETE FROM sqlite_sequence WHERE name = 'history';

INSERT INTO sqlite_sequence (name, seq) SELECT 'history', seq FROM sqlite_sequence WHERE name = 'history_before';

DROP TABLE history_before;

CREATE TRIGGER history_is_append_only BEFORE UPDATE ON history
BEGIN
    SELECT raise(ABORT, 'history is append-only');
END;
