-- Keys whose requests are signed. The secrets are nowhere: each follows from the file `signing.key`
-- of the data directory, the key's id and the generation.
CREATE TABLE key_signing (
    key_id       TEXT    NOT NULL PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    -- `none` keeps the row, so that a secret that was used once is never made again.
    requirement  TEXT    NOT NULL CHECK (requirement IN ('none', 'optional', 'required')),
    generation   INTEGER NOT NULL CHECK (generation > 0),
    -- How long the secret of the generation before works on, in milliseconds since the Unix epoch.
    old_until_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Until when signed requests may have been accepted: after a start nothing that was signed up to
-- then is, or a request of before could be sent again. There is a row since the first key signs.
CREATE TABLE signing_horizon (
    one       INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    -- Seconds since the Unix epoch.
    through_s INTEGER NOT NULL,
    -- Whether the server has stopped in order, and this is all.
    is_exact  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
