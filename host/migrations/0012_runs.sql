-- Runs on record: what models were asked and what they gave. Times are milliseconds since the Unix
-- epoch.
CREATE TABLE runs (
    -- Sorts by time.
    id            TEXT    NOT NULL PRIMARY KEY,
    -- The key that it belongs to; empty for callers without one, who share theirs.
    owner         TEXT    NOT NULL,
    request_id    TEXT    NOT NULL,
    created_ms    INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL,
    model         TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    -- Of the bundle.
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    seed          BLOB    NOT NULL CHECK (length(seed) = 32),
    -- The moment that the run was given.
    time_ms       INTEGER NOT NULL,
    fuel          INTEGER NOT NULL,
    outcome       TEXT    NOT NULL,
    -- Whether the model went on from what it had kept of earlier requests.
    resumed       INTEGER NOT NULL,
    input_digest  BLOB    NOT NULL CHECK (length(input_digest) = 32),
    output_digest BLOB    NOT NULL CHECK (length(output_digest) = 32),
    -- What ran it, as JSON.
    engine        TEXT    NOT NULL,
    -- What was asked and given, encoded.
    calls         BLOB    NOT NULL,
    -- Of `calls`.
    bytes         INTEGER NOT NULL
) STRICT;

CREATE INDEX runs_by_owner ON runs (owner, id);
CREATE INDEX runs_by_end ON runs (expires_ms);
CREATE INDEX runs_by_version ON runs (model, version);

-- What a key has asked goes with it, and what a version was asked with the version.
CREATE TRIGGER runs_of_deleted_keys AFTER DELETE ON keys BEGIN
    DELETE FROM runs WHERE owner = OLD.id;
END;
CREATE TRIGGER runs_of_removed_versions AFTER DELETE ON model_versions BEGIN
    DELETE FROM runs WHERE model = OLD.name AND version = OLD.version;
END;
