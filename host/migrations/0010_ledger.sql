-- What was used, by UTC day, key and model. The server adds to these rows every few seconds, each
-- time in one transaction: what a kill loses is what was not added yet, and nothing is added twice.
CREATE TABLE usage_ledger (
    -- The id of the key; empty for callers without one, `(other)` beyond the rows of a day.
    key_id            TEXT    NOT NULL,
    -- Counted from 1970.
    day               INTEGER NOT NULL,
    -- The name of the model; empty for requests that ran none, `(other)` beyond the rows of a day.
    model             TEXT    NOT NULL,
    requests          INTEGER NOT NULL,
    failed_requests   INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    fuel              INTEGER NOT NULL,
    run_us            INTEGER NOT NULL,
    PRIMARY KEY (key_id, day, model)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_ledger_by_day ON usage_ledger (day);

-- What a key may use in a calendar month; null means the server's setting.
ALTER TABLE keys ADD COLUMN fuel_per_month INTEGER;
ALTER TABLE keys ADD COLUMN tokens_per_month INTEGER;
ALTER TABLE keys ADD COLUMN requests_per_month INTEGER;
