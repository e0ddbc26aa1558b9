-- The tables of the first version, and a session in them.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    run TEXT,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    parent TEXT,
    label TEXT,
    created_at_ms INTEGER NOT NULL,
    run TEXT
) STRICT;
CREATE INDEX sessions_by_age ON sessions (created_at_ms);
CREATE INDEX sessions_by_parent ON sessions (parent);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    accepted INTEGER NOT NULL REFERENCES journal (seq),
    status TEXT NOT NULL,
    process TEXT,
    outcome TEXT
) STRICT;
CREATE INDEX live_runs ON runs (status) WHERE outcome IS NULL;

CREATE TABLE output (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    stream TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    run TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX inbox_by_session ON inbox (session);

INSERT INTO sessions (id, key, kind, agent, parent, label, created_at_ms, run) VALUES
    ('sess_main', 'agent:main:main', 'main', 'main', NULL, NULL, 1, NULL),
    ('sess_c', 'agent:main:subagent:c', 'subagent', 'main', 'sess_main', NULL, 10, 'c');
PRAGMA user_version = 1;
