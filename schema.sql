-- What MangaHub keeps, as one person would read it. Nothing runs this file: the program builds the
-- same schema from src/store/sqlite/migrations, and a test holds the two equal.
--
-- Times ending in `_at` are Unix milliseconds of the server's clock; `valid_from` is Unix seconds,
-- because it is compared with a token's `iat`. Chapters are thousandths: 5500 is chapter 5.5, exact
-- for ever. Booleans are 0 or 1. Every connection has foreign keys switched on.

-- People. Deleting one deletes everything that is theirs; the history, which is long, goes before.
CREATE TABLE users (
    -- The same text on every wire: a UUID, or what an import brought along.
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    -- Both unique, ASCII case ignored; as the user wrote them.
    username TEXT NOT NULL COLLATE NOCASE UNIQUE,
    email TEXT NOT NULL COLLATE NOCASE UNIQUE,
    -- bcrypt; empty while the account is being erased: nobody can log in.
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    -- Tokens issued before this second are void; 0 when none ever was. Only ever grows.
    valid_from INTEGER NOT NULL CHECK (valid_from >= 0),
    created_at INTEGER NOT NULL
) STRICT;

-- Whose tokens were voided lately: the few who ever had any voided.
CREATE INDEX users_by_valid_from ON users (valid_from) WHERE valid_from > 0;

-- What the second family's clients stay logged in with. Each login begins a family of tokens, in which
-- every use of one makes the next: one row, with the token that is alive. Whatever else is shown of the
-- family was spent; using it ends the family. Bounded: at most 100 rows of a user, and those that
-- expired go a day later.
CREATE TABLE refresh_tokens (
    -- SHA-256 of what the family's tokens have in common.
    family BLOB NOT NULL PRIMARY KEY CHECK (length(family) = 32),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256 of what the living token alone has.
    token BLOB NOT NULL CHECK (length(token) = 32),
    -- The login, then the last use: when the token before was spent and this one was issued.
    begun_at INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- When the family ended; NULL while it is alive.
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_by_user ON refresh_tokens (user_id);

CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

-- Whatever voids a user's tokens voids these too, in the same transaction.
CREATE TRIGGER refresh_tokens_are_voided AFTER UPDATE OF valid_from ON users
BEGIN
    UPDATE refresh_tokens SET revoked_at = new.valid_from * 1000 WHERE user_id = new.id AND revoked_at IS NULL;
END;

-- Who deleted their account, for as long as a token of theirs could still be shown: their id and
-- nothing else.
CREATE TABLE deleted_users (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    -- As in `users`.
    valid_from INTEGER NOT NULL CHECK (valid_from >= 0),
    -- 0 while something of theirs is left to erase.
    erased INTEGER NOT NULL CHECK (erased IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX deleted_users_by_valid_from ON deleted_users (erased, valid_from);

-- The catalogue: one row for each series. NULL is "not known".
CREATE TABLE manga (
    id INTEGER PRIMARY KEY,
    -- The public id; may be all digits. A deleted series has `~` and its key here, which no slug can
    -- be, so that its slug is free for another.
    slug TEXT NOT NULL UNIQUE,
    -- The title shown, then the same title as others know it.
    title TEXT NOT NULL,
    title_english TEXT,
    title_romanised TEXT,
    title_native TEXT,
    -- A JSON array of further names, in the order given.
    alternative_titles TEXT NOT NULL CHECK (json_type(alternative_titles) = 'array'),
    author TEXT,
    artist TEXT,
    demographic TEXT CHECK (demographic IN ('shounen', 'shoujo', 'seinen', 'josei', 'kodomo')),
    status TEXT NOT NULL CHECK (status IN ('ongoing', 'completed', 'hiatus', 'cancelled', 'upcoming')),
    year INTEGER,
    -- NULL while it runs.
    chapters_total_thousandths INTEGER CHECK (chapters_total_thousandths >= 0),
    volumes_total INTEGER,
    -- The latest chapter known to be out.
    latest_chapter_thousandths INTEGER CHECK (latest_chapter_thousandths >= 0),
    cover_url TEXT,
    created_at INTEGER NOT NULL,
    -- When a fact last changed.
    updated_at INTEGER NOT NULL,
    description TEXT NOT NULL,
    -- How many users have a progress row, and what the ratings add up to: kept by triggers, in the
    -- transaction that changes them, so that lists can be sorted without counting.
    readers INTEGER NOT NULL DEFAULT 0,
    rating_sum INTEGER NOT NULL DEFAULT 0,
    rating_count INTEGER NOT NULL DEFAULT 0,
    -- When an administrator took it out of the catalogue. The row stays, because readers' progress,
    -- ratings and histories point to it, and removing theirs would be one huge transaction; no list,
    -- search or detail shows it, and nobody can begin to read it. It does not come back.
    deleted_at INTEGER,
    -- When an administrator last changed it by hand. The catalogue file, which is read at each start,
    -- leaves such a series alone, and a deleted one as well: what a person decided outlives a restart.
    edited_at INTEGER,
    -- The slug by which the catalogue file knows it, whatever it was renamed to; NULL for a series
    -- that an administrator made.
    loaded_slug TEXT,
    -- How its entry in the search index was made; 0 when it has none yet. A start puts those in
    -- that are not up to date.
    search_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX manga_by_loaded_slug ON manga (loaded_slug);

-- The orders that lists have, each complete in itself, the condition's own column too: they are read
-- as a whole, without the rows.
CREATE INDEX manga_by_title ON manga (title COLLATE NOCASE, id, status, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX manga_by_age ON manga (created_at, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX manga_by_standing ON manga (readers, rating_sum, rating_count, deleted_at) WHERE deleted_at IS NULL;

-- One row, which changes with every series that is written: what a connection keeps in memory of the
-- catalogue's orders and of common searches is good for as long as this number stands.
CREATE TABLE catalogue_version (version INTEGER NOT NULL) STRICT;
INSERT INTO catalogue_version VALUES (1);

-- What a search looks into, by the series' key: every title, the author and the artist, and the
-- slug, with case and accents taken off, one to a line. Written in the transaction that writes the
-- series; only the index is kept, not the text. Any part of three or more characters is found,
-- wherever it stands.
CREATE VIRTUAL TABLE manga_search USING fts5 (
    titles, people, slug,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);

-- Descriptions apart: nearly all of them have the common trigrams, and a search for a title would
-- have to pass over every one.
CREATE VIRTUAL TABLE manga_search_description USING fts5 (
    description,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);

-- All these texts for searches of one and two characters, as the single characters and pairs that
-- occur in them; each is written as the hexadecimal digits of its bytes, so that all are words.
CREATE VIRTUAL TABLE manga_search_short USING fts5 (
    titles, people, slug, description,
    content = '', contentless_delete = 1, detail = column, tokenize = 'ascii'
);

-- What administrators changed, for those who want to be told: a JSON array of
-- {"field", "old_value", "new_value"}. Written in the transaction that changes the series; loading
-- the catalogue file writes none.
CREATE TABLE manga_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    kind TEXT NOT NULL CHECK (kind IN ('new_manga', 'manga_update', 'new_chapter')),
    changes TEXT NOT NULL CHECK (json_type(changes) = 'array'),
    created_at INTEGER NOT NULL
) STRICT;

-- Genres, by case-folded name: "Action" and "action" are one genre.
CREATE TABLE genres (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Which series is of which genres, in the order given.
CREATE TABLE manga_genres (
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    genre_id INTEGER NOT NULL REFERENCES genres (id),
    PRIMARY KEY (manga_id, position),
    UNIQUE (genre_id, manga_id)
) STRICT, WITHOUT ROWID;

-- Where a user stands with a series: one row for each pair, in the library or not.
--
-- A user's rows stand together, by the primary key, and lists are sorted when they are read: an index
-- by time would move an entry with every update, and save a list of 2,000 a few milliseconds.
CREATE TABLE progress (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    -- Reading something does not put it into the library.
    in_library INTEGER NOT NULL CHECK (in_library IN (0, 1)),
    -- Compared one by one: SQLite builds a table in memory for each look at a list of words.
    status TEXT NOT NULL
        CHECK (status = 'reading' OR status = 'completed' OR status = 'plan_to_read'
               OR status = 'on_hold' OR status = 'dropped' OR status = 're_reading'),
    -- The last chapter read; 0 when none.
    chapter_thousandths INTEGER NOT NULL CHECK (chapter_thousandths >= 0),
    volume INTEGER,
    page INTEGER,
    -- Grows by one each time a row that is `re_reading` becomes `completed`.
    rereads INTEGER NOT NULL CHECK (rereads >= 0),
    -- The first time the row was `reading`, `re_reading` or `completed`, or had a chapter above 0.
    started_at INTEGER,
    -- The last time it became `completed`. Reading it again, pausing or dropping it keeps the date;
    -- going back to `reading` or `plan_to_read` says that it was not finished, and clears it.
    completed_at INTEGER,
    private INTEGER NOT NULL CHECK (private IN (0, 1)),
    note TEXT,
    -- When the server received the last change. Never goes backwards.
    updated_at INTEGER NOT NULL,
    -- The newest history row of this pair: where its chain begins.
    history_seq INTEGER NOT NULL,
    -- The one before, kept only to be handed over to the history row that is written next.
    previous_seq INTEGER,
    -- When it came into the library; NULL when it isn't there.
    added_at INTEGER,
    PRIMARY KEY (user_id, manga_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER readers_come AFTER INSERT ON progress
BEGIN
    UPDATE manga SET readers = readers + 1 WHERE id = new.manga_id;
END;

CREATE TRIGGER readers_go AFTER DELETE ON progress
BEGIN
    UPDATE manga SET readers = readers - 1 WHERE id = old.manga_id;
END;

-- Where the chain of a deleted progress row began: the history outlives the row. A new row of the
-- same pair begins a new chain, so a pair may stand here more than once.
CREATE TABLE forgotten_progress (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    history_seq INTEGER NOT NULL,
    PRIMARY KEY (user_id, manga_id, history_seq)
) STRICT, WITHOUT ROWID;

-- What a user thinks of a series; it needs no progress row.
CREATE TABLE ratings (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 10),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, manga_id)
) STRICT, WITHOUT ROWID;

-- Who rated a series, in the order in which they first did: a rating that changes keeps its place, so
-- no entry ever moves.
CREATE INDEX ratings_by_manga ON ratings (manga_id, created_at);

CREATE TRIGGER ratings_come AFTER INSERT ON ratings
BEGIN
    UPDATE manga SET rating_sum = rating_sum + new.rating, rating_count = rating_count + 1 WHERE id = new.manga_id;
END;

CREATE TRIGGER ratings_change AFTER UPDATE OF rating ON ratings
BEGIN
    UPDATE manga SET rating_sum = rating_sum - old.rating + new.rating WHERE id = new.manga_id;
END;

CREATE TRIGGER ratings_go AFTER DELETE ON ratings
BEGIN
    UPDATE manga SET rating_sum = rating_sum - old.rating, rating_count = rating_count - 1 WHERE id = old.manga_id;
END;

-- What readers say below a series. Ids grow in the order of arrival, which is the order of lists, and
-- are never given twice: an old link shows nothing rather than something else.
CREATE TABLE comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- As it was sent, line ends included. Long texts stand last, so that what is before them is read alone.
    content TEXT NOT NULL CHECK (length(content) BETWEEN 1 AND 5000)
) STRICT;

-- Each entry ends with the id, so both lists come newest first without sorting.
CREATE INDEX comments_by_manga ON comments (manga_id);
CREATE INDEX comments_by_user ON comments (user_id);

-- What a reader says about a series at length: one for each pair.
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- What the review itself gives; NULL when it gives none. It is written to `ratings` too, and stays
    -- as it was published when the reader rates otherwise later.
    rating INTEGER CHECK (rating BETWEEN 1 AND 10),
    -- It tells how the story goes on.
    spoiler INTEGER NOT NULL CHECK (spoiler IN (0, 1)),
    -- How many votes it has: kept by triggers, so that lists can be sorted without counting.
    helpful INTEGER NOT NULL DEFAULT 0 CHECK (helpful >= 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 10000),
    UNIQUE (user_id, manga_id)
) STRICT;

-- One for each order in which reviews are shown.
CREATE INDEX reviews_by_manga ON reviews (manga_id);
CREATE INDEX reviews_by_helpful ON reviews (manga_id, helpful);
CREATE INDEX reviews_by_rating ON reviews (manga_id, rating);

-- Who found which review helpful.
CREATE TABLE review_votes (
    review_id INTEGER NOT NULL REFERENCES reviews (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (review_id, user_id)
) STRICT, WITHOUT ROWID;

-- For the deletion of a user.
CREATE INDEX review_votes_by_user ON review_votes (user_id);

CREATE TRIGGER review_votes_come AFTER INSERT ON review_votes
BEGIN
    UPDATE reviews SET helpful = helpful + 1 WHERE id = new.review_id;
END;

CREATE TRIGGER review_votes_go AFTER DELETE ON review_votes
BEGIN
    UPDATE reviews SET helpful = helpful - 1 WHERE id = old.review_id;
END;

-- Every change of progress, in the order in which it happened, as the row stood after it. Appended
-- and, with its user or by age, deleted; never changed. By age means every row up to some `seq`.
--
-- The rows of one user and one series form a chain: progress points to the newest, and each row to
-- the one before. All history of a user is their chains, merged newest first.
--
-- Why not an index by user? A new row goes to the table's end, together with everybody's new rows:
-- a thousand of them fill some twenty pages. Their index entries would go to a thousand places, one
-- page each; once the index is large, a commit would write fifty times what it has to say. A chain
-- costs two numbers a row and no page. What it costs is paid by readers: page n of a history walks
-- over the pages before it, one look-up a row.
CREATE TABLE history (
    -- AUTOINCREMENT, so that a number is never given twice, even after the newest row went.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    -- No reference: to look for the rows of a user who goes, SQLite would read the whole table. They are
    -- erased along their chains, before the user.
    user_id TEXT NOT NULL,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    chapter_thousandths INTEGER NOT NULL CHECK (chapter_thousandths >= 0),
    volume INTEGER,
    page INTEGER,
    status TEXT NOT NULL
        CHECK (status = 'reading' OR status = 'completed' OR status = 'plan_to_read'
               OR status = 'on_hold' OR status = 'dropped' OR status = 're_reading'),
    device TEXT,
    -- When the reader says it was read; it orders nothing.
    read_at INTEGER,
    -- When the server received it.
    recorded_at INTEGER NOT NULL,
    -- The row before this one in its chain; NULL in the first. It may point to a row that was deleted
    -- by age: then so was everything before it. The check is why every walk along a chain ends.
    previous_seq INTEGER CHECK (previous_seq < seq)
) STRICT;

CREATE TRIGGER history_is_append_only BEFORE UPDATE ON history
BEGIN
    SELECT raise(ABORT, 'history is append-only');
END;

-- Two people who are friends, or one of whom asked to be: one row for each pair, the smaller id first.
CREATE TABLE friendships (
    low_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    high_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Which of the two asked.
    low_asked INTEGER NOT NULL CHECK (low_asked IN (0, 1)),
    asked_at INTEGER NOT NULL,
    -- NULL while the request is open.
    accepted_at INTEGER,
    PRIMARY KEY (low_id, high_id),
    CHECK (low_id < high_id)
) STRICT, WITHOUT ROWID;

-- The other half of somebody's friends, and what the deletion of a user looks for.
CREATE INDEX friendships_by_high ON friendships (high_id);

-- Lists of series that people put together.
CREATE TABLE lists (
    -- AUTOINCREMENT, so that an old link never shows somebody else's new list.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    -- Who may see it, beside its owner.
    visibility TEXT NOT NULL CHECK (visibility IN ('private', 'friends', 'public')),
    created_at INTEGER NOT NULL,
    -- When the list or anything on it last changed.
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX lists_by_user ON lists (user_id);

CREATE TABLE list_items (
    list_id INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    -- Items stand in its order. It may have gaps and be negative: whoever comes in between moves the
    -- shorter side of the list away by one.
    place INTEGER NOT NULL,
    note TEXT,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (list_id, manga_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX list_items_by_manga ON list_items (manga_id);

-- How many chapters a user wants to read in each day, week, month or year.
CREATE TABLE goals (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    period TEXT NOT NULL CHECK (period IN ('day', 'week', 'month', 'year')),
    target INTEGER NOT NULL CHECK (target > 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, period)
) STRICT, WITHOUT ROWID;

-- Addresses that are told over HTTP what happens, by users who want a program of theirs to know.
CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    -- A JSON array of words.
    events TEXT NOT NULL,
    -- 'all' counts only as long as the user is an administrator.
    scope TEXT NOT NULL CHECK (scope IN ('library', 'all')),
    -- What deliveries are signed with: it can't be a hash, since a signature is made anew each time.
    secret TEXT NOT NULL,
    -- Why nothing is sent; NULL while something is.
    disabled TEXT,
    -- Deliveries in a row that were given up: too many disable the webhook.
    dead_in_row INTEGER NOT NULL,
    -- Events that found no room.
    missed INTEGER NOT NULL,
    -- When its oldest pending delivery is due; NULL when there is none, or the webhook is disabled.
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX webhooks_by_user ON webhooks (user_id);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

-- What happened, once for all webhooks that are told. Written together with what it tells about.
CREATE TABLE webhook_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    -- The JSON that is sent.
    body TEXT NOT NULL,
    -- Whom it concerns: the readers of this series, this user, or without either everyone.
    manga_id INTEGER,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    -- The last webhook that was looked at; NULL when all were.
    spread_to INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX webhook_events_by_user ON webhook_events (user_id);
CREATE INDEX webhook_events_unspread ON webhook_events (id) WHERE spread_to IS NOT NULL;

-- An event on its way to a webhook. Those of a webhook are sent in the order of their keys, one at a time.
CREATE TABLE webhook_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id INTEGER NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    -- Since it was made or replayed.
    attempts INTEGER NOT NULL,
    -- NULL when it has ended.
    next_attempt_at INTEGER,
    -- What the receiver last answered, if it did.
    status INTEGER,
    -- What last went wrong.
    error TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;

CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (webhook_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_id);

-- What readers are told: one row each, however many hear of it, written in the transaction of what it
-- tells about. A row goes when it is older than the operator keeps them.
CREATE TABLE notifications (
    -- AUTOINCREMENT, so that a key is never given twice: cursors and marks point to it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('NEW_MANGA', 'NEW_CHAPTER', 'MANGA_UPDATE', 'ANNOUNCEMENT', 'TEST')),
    -- Every user registered by then, those who had the series in their library by then, or one user.
    audience TEXT NOT NULL CHECK (audience IN ('everyone', 'readers', 'user')),
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    -- No reference: whoever tells of a series may know one that the catalogue doesn't have.
    manga_id INTEGER,
    chapter_thousandths INTEGER,
    old_chapter_thousandths INTEGER,
    chapter_title TEXT,
    -- As whoever told of it wrote the date.
    release_date TEXT,
    created_at INTEGER NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    -- A JSON array of {"field", "old_value", "new_value"}.
    changes TEXT NOT NULL CHECK (json_type(changes) = 'array'),
    CHECK ((audience = 'user') = (user_id IS NOT NULL)),
    CHECK (audience <> 'readers' OR manga_id IS NOT NULL)
) STRICT;

-- What is for one user alone; what is for several stands together, under NULL, in the order of its keys.
CREATE INDEX notifications_by_user ON notifications (user_id);

-- Whether a chapter has been told of already.
CREATE INDEX notifications_by_chapter ON notifications (manga_id, kind, chapter_thousandths);

-- Which notifications a user has read, one by one. What lies at or below `read_to` needs no mark.
CREATE TABLE notification_reads (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    notification_id INTEGER NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, notification_id)
) STRICT, WITHOUT ROWID;

-- For the end of a notification: its marks go before it.
CREATE INDEX notification_reads_by_notification ON notification_reads (notification_id);

-- How far a user has come, and what they want to hear. Without a row: nowhere, and everything.
CREATE TABLE notification_settings (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- Everything up to this notification is read.
    read_to INTEGER NOT NULL DEFAULT 0,
    -- Everything up to this notification was sent to the user's own address; what is missed is above.
    delivered_to INTEGER NOT NULL DEFAULT 0,
    -- Which kinds, then by which ways.
    new_manga INTEGER NOT NULL DEFAULT 1 CHECK (new_manga IN (0, 1)),
    new_chapter INTEGER NOT NULL DEFAULT 1 CHECK (new_chapter IN (0, 1)),
    manga_update INTEGER NOT NULL DEFAULT 1 CHECK (manga_update IN (0, 1)),
    udp INTEGER NOT NULL DEFAULT 1 CHECK (udp IN (0, 1)),
    websocket INTEGER NOT NULL DEFAULT 1 CHECK (websocket IN (0, 1)),
    tcp INTEGER NOT NULL DEFAULT 1 CHECK (tcp IN (0, 1)),
    webhook INTEGER NOT NULL DEFAULT 1 CHECK (webhook IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Series that a user wants to hear nothing about, though they may stand in the library.
CREATE TABLE notification_mutes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    PRIMARY KEY (user_id, manga_id)
) STRICT, WITHOUT ROWID;

-- What is said in chat: in rooms, and between two people. Ids grow in the order of arrival, which is the
-- order of every list, and are never given twice.
CREATE TABLE chat_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The room's key: the number of a series, or a name. NULL for what is between two people, so that
    -- no question about a room can find it.
    room TEXT CHECK (length(room) BETWEEN 1 AND 64),
    -- Somebody with an account, somebody without, or the server itself.
    speaker TEXT NOT NULL CHECK (speaker = 'user' OR speaker = 'guest' OR speaker = 'system'),
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    -- Whom it is for, where it is for one person.
    to_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    -- As it was shown then. A guest has no other.
    username TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- A deleted message keeps its place and loses its text.
    deleted_at INTEGER,
    deleted_by TEXT REFERENCES users (id) ON DELETE SET NULL,
    content TEXT NOT NULL CHECK (length(content) <= 2000),
    CHECK ((room IS NULL) = (to_id IS NOT NULL)),
    CHECK ((user_id IS NULL) = (speaker <> 'user')),
    CHECK (to_id IS NULL OR user_id IS NOT NULL),
    CHECK ((deleted_at IS NULL) = (length(content) > 0))
) STRICT;

-- Each entry ends with the id, so a page is read off an index from any id on, without sorting.
CREATE INDEX chat_messages_by_room ON chat_messages (room) WHERE room IS NOT NULL;
-- Both directions of a conversation are one list.
CREATE INDEX chat_messages_by_pair ON chat_messages (min(user_id, to_id), max(user_id, to_id))
    WHERE to_id IS NOT NULL;
-- What a user takes along, and what the deletion of a user looks for.
CREATE INDEX chat_messages_by_user ON chat_messages (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX chat_messages_by_recipient ON chat_messages (to_id) WHERE to_id IS NOT NULL;
CREATE INDEX chat_messages_by_deleter ON chat_messages (deleted_by) WHERE deleted_by IS NOT NULL;
-- Of what people without an account say only so much is kept: this finds where that begins.
CREATE INDEX chat_messages_by_guests ON chat_messages (id) WHERE speaker = 'guest';

-- The rooms in which something was said, so that a list of them need not look through all messages.
CREATE TABLE chat_rooms (
    room TEXT PRIMARY KEY,
    -- When something was last said there, to the second.
    last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_rooms_by_last ON chat_rooms (last_at);

-- Who must be silent in chat, and until when.
CREATE TABLE chat_mutes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- A room's key; empty for everywhere, private messages included.
    room TEXT NOT NULL,
    until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    muted_by TEXT REFERENCES users (id) ON DELETE SET NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (user_id, room)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_mutes_by_end ON chat_mutes (until);
CREATE INDEX chat_mutes_by_muter ON chat_mutes (muted_by) WHERE muted_by IS NOT NULL;

-- The same for those who have no account, and so no id: they are known by what they call themselves.
CREATE TABLE chat_guest_mutes (
    -- The name in one case; empty for everybody without an account.
    name_key TEXT NOT NULL,
    -- A room's key; empty for everywhere.
    room TEXT NOT NULL,
    -- The name as the administrator wrote it.
    username TEXT NOT NULL,
    until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    muted_by TEXT REFERENCES users (id) ON DELETE SET NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (name_key, room)
) STRICT, WITHOUT ROWID;

CREATE INDEX chat_guest_mutes_by_end ON chat_guest_mutes (until);
CREATE INDEX chat_guest_mutes_by_muter ON chat_guest_mutes (muted_by) WHERE muted_by IS NOT NULL;
