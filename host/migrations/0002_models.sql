-- Models and their versions. The states between `received` and `ready` are not stored: after a
-- crash the work is taken up again from `received`, and the cache of artefacts makes that cheap.

CREATE TABLE models (
    name TEXT NOT NULL PRIMARY KEY,
    -- What requests for the bare name get.
    active_version TEXT,
    -- What becomes active as soon as it is ready. The last upload that asked for it wins, however
    -- long each one compiles.
    wanted_version TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE model_versions (
    name TEXT NOT NULL REFERENCES models (name),
    version TEXT NOT NULL,
    -- SHA-256 of the canonical manifest, which names every file by its digest.
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    -- All files, unpacked.
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('received', 'ready', 'failed')),
    -- Compilations begun and not ended, because the server was killed.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Whether it has ever been ready. Content that was ready once can be relied on by somebody
    -- and is never replaced.
    was_ready INTEGER NOT NULL DEFAULT 0,
    -- Microseconds since 1970.
    created_us INTEGER NOT NULL,
    -- The id of the key that uploaded it.
    uploaded_by TEXT,
    -- SHA-256 of the component, where the version came with the server.
    embedded BLOB CHECK (length(embedded) = 32),
    failure_code TEXT,
    failure_message TEXT,
    PRIMARY KEY (name, version),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL)),
    CHECK ((state = 'failed') = (failure_message IS NOT NULL))
) STRICT, WITHOUT ROWID;
