-- Uploads so far, in the row of the database and in `directory.json` beside it: a database that was
-- copied between two starts is older than the bundles that came after, and starts alone do not
-- show it.
ALTER TABLE directory ADD COLUMN uploads INTEGER NOT NULL DEFAULT 0;
