-- When a series came into a library: libraries can be shown in that order, and existing clients show
-- the date. For those that were in one before, the last change is the best that is known.
ALTER TABLE progress ADD COLUMN added_at INTEGER;

UPDATE progress SET added_at = updated_at WHERE in_library;
