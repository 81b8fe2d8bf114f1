-- How many readers a series has and what they think of it, kept beside its facts: lists sort by
-- both, and counting rows for each of 100,000 series would read every reader's progress.
ALTER TABLE manga ADD COLUMN readers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manga ADD COLUMN rating_sum INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manga ADD COLUMN rating_count INTEGER NOT NULL DEFAULT 0;

UPDATE manga SET
    readers = (SELECT count(*) FROM progress WHERE manga_id = manga.id),
    rating_sum = (SELECT coalesce(sum(rating), 0) FROM ratings WHERE manga_id = manga.id),
    rating_count = (SELECT count(*) FROM ratings WHERE manga_id = manga.id);

CREATE TRIGGER readers_come AFTER INSERT ON progress
BEGIN
    UPDATE manga SET readers = readers + 1 WHERE id = new.manga_id;
END;

CREATE TRIGGER readers_go AFTER DELETE ON progress
BEGIN
    UPDATE manga SET readers = readers - 1 WHERE id = old.manga_id;
END;

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
