-- API keys. The secret itself is nowhere: `digest` is its SHA-256.
-- Times are milliseconds since the Unix epoch.
CREATE TABLE keys (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    digest      BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- Names of scopes, separated by commas.
    scopes      TEXT    NOT NULL,
    -- JSON list of model names; null means all models.
    models      TEXT,
    tier        TEXT,
    rpm         INTEGER,
    tpm         INTEGER,
    created_ms  INTEGER NOT NULL,
    expires_ms  INTEGER,
    revoked_ms  INTEGER
) STRICT;
