-- Which data directory this database belongs to, and how often a server has started on the two.
-- The file `directory.json` beside it says the same: together they show that one of them was
-- lost, or comes from elsewhere or from an earlier time.
CREATE TABLE directory (
    -- There is one row.
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id     TEXT    NOT NULL,
    starts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
