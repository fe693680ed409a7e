-- What a key may use beside requests and tokens a minute; null means the server's setting.
ALTER TABLE keys ADD COLUMN max_concurrent INTEGER;
ALTER TABLE keys ADD COLUMN max_uploads INTEGER;
ALTER TABLE keys ADD COLUMN max_stored_bundles INTEGER;
ALTER TABLE keys ADD COLUMN max_stored_bytes INTEGER;
ALTER TABLE keys ADD COLUMN fuel_per_day INTEGER;
-- JSON lists of IP networks. Null: from everywhere, and from nowhere is it refused.
ALTER TABLE keys ADD COLUMN allow_networks TEXT;
ALTER TABLE keys ADD COLUMN deny_networks TEXT;

ALTER TABLE keys ADD COLUMN rotated_ms INTEGER;

-- Whether the server made the key for itself and wrote its secret to the file of the admin key.
ALTER TABLE keys ADD COLUMN from_server INTEGER NOT NULL DEFAULT 0;
UPDATE keys SET from_server = 1
WHERE name = 'admin'
  AND scopes = 'infer,models:read,models:write,admin,metrics'
  AND models IS NULL
  AND created_ms = (SELECT min(created_ms) FROM keys);

-- Secrets that were replaced and work on for a while.
CREATE TABLE key_old_secrets (
    digest   BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    key_id   TEXT    NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What keys have used. Written every few seconds and at a stop: what a kill loses is counts,
-- never keys. `subject` is the id of a stored key; for a key of the configuration, which has
-- only a position there, it is a hash.
CREATE TABLE key_usage (
    subject           TEXT    NOT NULL PRIMARY KEY,
    last_used_ms      INTEGER,
    requests          INTEGER NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    fuel              INTEGER NOT NULL,
    -- The UTC day, counted from 1970, and the fuel of that day.
    fuel_day          INTEGER NOT NULL,
    fuel_of_day       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
