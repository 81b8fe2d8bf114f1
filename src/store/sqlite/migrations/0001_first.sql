-- Users, catalogue, progress, ratings and history. schema.sql in the repository's root explains each column.

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    username TEXT NOT NULL COLLATE NOCASE UNIQUE,
    email TEXT NOT NULL COLLATE NOCASE UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    valid_from INTEGER NOT NULL CHECK (valid_from >= 0),
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX users_by_valid_from ON users (valid_from) WHERE valid_from > 0;

CREATE TABLE manga (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    title_english TEXT,
    title_romanised TEXT,
    title_native TEXT,
    alternative_titles TEXT NOT NULL CHECK (json_type(alternative_titles) = 'array'),
    author TEXT,
    artist TEXT,
    search_titles TEXT NOT NULL,
    search_people TEXT NOT NULL,
    demographic TEXT CHECK (demographic IN ('shounen', 'shoujo', 'seinen', 'josei', 'kodomo')),
    status TEXT NOT NULL CHECK (status IN ('ongoing', 'completed', 'hiatus', 'cancelled', 'upcoming')),
    year INTEGER,
    chapters_total_thousandths INTEGER CHECK (chapters_total_thousandths >= 0),
    volumes_total INTEGER,
    latest_chapter_thousandths INTEGER CHECK (latest_chapter_thousandths >= 0),
    cover_url TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    description TEXT NOT NULL
) STRICT;

CREATE INDEX manga_by_title ON manga (title COLLATE NOCASE, id);

CREATE TABLE genres (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE manga_genres (
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    genre_id INTEGER NOT NULL REFERENCES genres (id),
    PRIMARY KEY (manga_id, position),
    UNIQUE (genre_id, manga_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE progress (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    in_library INTEGER NOT NULL CHECK (in_library IN (0, 1)),
    status TEXT NOT NULL
        CHECK (status IN ('reading', 'completed', 'plan_to_read', 'on_hold', 'dropped', 're_reading')),
    chapter_thousandths INTEGER NOT NULL CHECK (chapter_thousandths >= 0),
    volume INTEGER,
    page INTEGER,
    rereads INTEGER NOT NULL CHECK (rereads >= 0),
    started_at INTEGER,
    completed_at INTEGER,
    private INTEGER NOT NULL CHECK (private IN (0, 1)),
    note TEXT,
    updated_at INTEGER NOT NULL,
    history_seq INTEGER NOT NULL,
    previous_seq INTEGER,
    PRIMARY KEY (user_id, manga_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE forgotten_progress (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    history_seq INTEGER NOT NULL,
    PRIMARY KEY (user_id, manga_id, history_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE ratings (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 10),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, manga_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
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

CREATE TRIGGER history_is_append_only BEFORE UPDATE ON history
BEGIN
    SELECT raise(ABORT, 'history is append-only');
END;
