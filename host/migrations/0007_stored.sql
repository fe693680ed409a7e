-- What callers have stored here: responses, conversations and chat completions. Times are
-- milliseconds since the Unix epoch.
CREATE TABLE stored (
    id          TEXT    NOT NULL PRIMARY KEY,
    -- `response`, `conversation` or `chat_completion`.
    kind        TEXT    NOT NULL,
    -- The key that it belongs to; empty for callers without one, who share theirs.
    owner       TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    -- What is shown of it, as JSON.
    body        TEXT    NOT NULL,
    -- What the caller sent, as a list in JSON.
    input       TEXT    NOT NULL,
    -- What it goes on from: a response.
    previous    TEXT,
    bytes       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX stored_by_owner ON stored (owner, kind, id);
CREATE INDEX stored_by_end ON stored (expires_ms);
