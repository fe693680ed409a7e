-- Bans that are in force. Times are milliseconds since the Unix epoch.
CREATE TABLE bans (
    -- The address, or the first one of its IPv6 network.
    address     TEXT    NOT NULL,
    -- The key that alone is banned there; empty where the whole address is.
    key_id      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    -- Within the window when the ban was made.
    violations  INTEGER NOT NULL,
    started_ms  INTEGER NOT NULL,
    until_ms    INTEGER NOT NULL,
    PRIMARY KEY (address, key_id)
) STRICT, WITHOUT ROWID;

-- Networks that an administrator has exempted from bans.
CREATE TABLE exemptions (
    network     TEXT    NOT NULL PRIMARY KEY,
    note        TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    created_by  TEXT
) STRICT, WITHOUT ROWID;
