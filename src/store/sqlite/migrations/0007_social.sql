-- Friends, lists and goals. schema.sql in the repository's root explains each column.

CREATE TABLE friendships (
    low_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    high_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    low_asked INTEGER NOT NULL CHECK (low_asked IN (0, 1)),
    asked_at INTEGER NOT NULL,
    accepted_at INTEGER,
    PRIMARY KEY (low_id, high_id),
    CHECK (low_id < high_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX friendships_by_high ON friendships (high_id);

CREATE TABLE lists (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    visibility TEXT NOT NULL CHECK (visibility IN ('private', 'friends', 'public')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX lists_by_user ON lists (user_id);

CREATE TABLE list_items (
    list_id INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    note TEXT,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (list_id, manga_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX list_items_by_manga ON list_items (manga_id);

CREATE TABLE goals (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    period TEXT NOT NULL CHECK (period IN ('day', 'week', 'month', 'year')),
    target INTEGER NOT NULL CHECK (target > 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, period)
) STRICT, WITHOUT ROWID;
