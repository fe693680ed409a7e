-- Ids (`jti`) of JSON Web Tokens that an administrator has revoked. Times are milliseconds since
-- the Unix epoch; from `until_ms` on no token with that id can hold, and the row is removed.
CREATE TABLE revoked_tokens (
    jti         TEXT    NOT NULL PRIMARY KEY,
    revoked_ms  INTEGER NOT NULL,
    until_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
