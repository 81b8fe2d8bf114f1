-- Notifications: what readers are told. schema.sql in the repository's root explains each column.

CREATE TABLE notifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('NEW_MANGA', 'NEW_CHAPTER', 'MANGA_UPDATE', 'ANNOUNCEMENT', 'TEST')),
    audience TEXT NOT NULL CHECK (audience IN ('everyone', 'readers', 'user')),
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER,
    chapter_thousandths INTEGER,
    old_chapter_thousandths INTEGER,
    chapter_title TEXT,
    release_date TEXT,
    created_at INTEGER NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    changes TEXT NOT NULL CHECK (json_type(changes) = 'array'),
    CHECK ((audience = 'user') = (user_id IS NOT NULL)),
    CHECK (audience <> 'readers' OR manga_id IS NOT NULL)
) STRICT;

CREATE INDEX notifications_by_user ON notifications (user_id);

CREATE INDEX notifications_by_chapter ON notifications (manga_id, kind, chapter_thousandths);

CREATE TABLE notification_reads (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    notification_id INTEGER NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, notification_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX notification_reads_by_notification ON notification_reads (notification_id);

CREATE TABLE notification_settings (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    read_to INTEGER NOT NULL DEFAULT 0,
    delivered_to INTEGER NOT NULL DEFAULT 0,
    new_manga INTEGER NOT NULL DEFAULT 1 CHECK (new_manga IN (0, 1)),
    new_chapter INTEGER NOT NULL DEFAULT 1 CHECK (new_chapter IN (0, 1)),
    manga_update INTEGER NOT NULL DEFAULT 1 CHECK (manga_update IN (0, 1)),
    udp INTEGER NOT NULL DEFAULT 1 CHECK (udp IN (0, 1)),
    websocket INTEGER NOT NULL DEFAULT 1 CHECK (websocket IN (0, 1)),
    tcp INTEGER NOT NULL DEFAULT 1 CHECK (tcp IN (0, 1)),
    webhook INTEGER NOT NULL DEFAULT 1 CHECK (webhook IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE notification_mutes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    PRIMARY KEY (user_id, manga_id)
) STRICT, WITHOUT ROWID;
