-- A search index over the catalogue, changes by administrators, and what they changed.

-- A deleted series stays for the histories that name it.
ALTER TABLE manga ADD COLUMN deleted_at INTEGER;
-- The catalogue file leaves what an administrator changed alone, and knows its series by the slug
-- that it gave them. Every series so far came from that file.
ALTER TABLE manga ADD COLUMN edited_at INTEGER;
ALTER TABLE manga ADD COLUMN loaded_slug TEXT;
-- 0: not in the index yet; the next start puts them in.
ALTER TABLE manga ADD COLUMN search_version INTEGER NOT NULL DEFAULT 0;
UPDATE manga SET loaded_slug = slug;
CREATE UNIQUE INDEX manga_by_loaded_slug ON manga (loaded_slug);

-- The index holds these now.
ALTER TABLE manga DROP COLUMN search_titles;
ALTER TABLE manga DROP COLUMN search_people;

CREATE VIRTUAL TABLE manga_search USING fts5 (
    titles, people, slug,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE manga_search_description USING fts5 (
    description,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE manga_search_short USING fts5 (
    titles, people, slug, description,
    content = '', contentless_delete = 1, detail = column, tokenize = 'ascii'
);

DROP INDEX manga_by_title;
CREATE INDEX manga_by_title ON manga (title COLLATE NOCASE, id, status, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX manga_by_age ON manga (created_at, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX manga_by_standing ON manga (readers, rating_sum, rating_count, deleted_at) WHERE deleted_at IS NULL;

CREATE TABLE catalogue_version (version INTEGER NOT NULL) STRICT;
INSERT INTO catalogue_version VALUES (1);

CREATE TABLE manga_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    manga_id INTEGER NOT NULL REFERENCES manga (id),
    kind TEXT NOT NULL CHECK (kind IN ('new_manga', 'manga_update', 'new_chapter')),
    changes TEXT NOT NULL CHECK (json_type(changes) = 'array'),
    created_at INTEGER NOT NULL
) STRICT;
