-- What is usual for each caller that is watched. A row that is lost is learnt again.
CREATE TABLE anomaly_baselines (
    -- The id of a key, or an address.
    caller   TEXT    NOT NULL PRIMARY KEY,
    -- MessagePack.
    profile  BLOB    NOT NULL,
    -- When it was written, in milliseconds since the Unix epoch.
    seen_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
