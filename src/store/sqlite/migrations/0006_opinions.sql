-- What readers think of a series: who rated it, in order; comments; reviews and their votes.
CREATE INDEX ratings_by_manga ON ratings (manga_id, created_at);

CREATE TABLE comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    content TEXT NOT NULL CHECK (length(content) BETWEEN 1 AND 5000)
) STRICT;

CREATE INDEX comments_by_manga ON comments (manga_id);
CREATE INDEX comments_by_user ON comments (user_id);

CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    rating INTEGER CHECK (rating BETWEEN 1 AND 10),
    spoiler INTEGER NOT NULL CHECK (spoiler IN (0, 1)),
    helpful INTEGER NOT NULL DEFAULT 0 CHECK (helpful >= 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 10000),
    UNIQUE (user_id, manga_id)
) STRICT;

CREATE INDEX reviews_by_manga ON reviews (manga_id);
CREATE INDEX reviews_by_helpful ON reviews (manga_id, helpful);
CREATE INDEX reviews_by_rating ON reviews (manga_id, rating);

CREATE TABLE review_votes (
    review_id INTEGER NOT NULL REFERENCES reviews (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (review_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX review_votes_by_user ON review_votes (user_id);

CREATE TRIGGER review_votes_come AFTER INSERT ON review_votes
BEGIN
    UPDATE reviews SET helpful = helpful + 1 WHERE id = new.review_id;
END;

CREATE TRIGGER review_votes_go AFTER DELETE ON review_votes
BEGIN
    UPDATE reviews SET helpful = helpful - 1 WHERE id = old.review_id;
END;
