-- Times are whole microseconds since 1970-01-01T00:00:00Z. Lists are in descending order of `seq`.

CREATE TABLE accounts (
    sid TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    auth_token TEXT NOT NULL,
    kore_secret TEXT NOT NULL,
    uses_static_proxy INTEGER NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    secret TEXT NOT NULL
) STRICT;

CREATE TABLE fleets (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    unique_name TEXT,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    UNIQUE (account_sid, unique_name)
) STRICT;

CREATE TABLE sims (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    iccid TEXT NOT NULL UNIQUE,
    unique_name TEXT,
    status TEXT NOT NULL,
    fleet_sid TEXT REFERENCES fleets (sid),
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    UNIQUE (account_sid, unique_name)
) STRICT;
CREATE INDEX sims_of_account ON sims (account_sid, seq);
CREATE INDEX sims_by_status ON sims (account_sid, status, seq);
CREATE INDEX sims_by_fleet ON sims (account_sid, fleet_sid, seq);

-- Changes of SIMs that the network has not carried out yet; a SIM has at most one.
CREATE TABLE sim_updates (
    sim_sid TEXT PRIMARY KEY REFERENCES sims (sid),
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    to_fleet_sid TEXT REFERENCES fleets (sid),
    callback_url TEXT,
    callback_credentials TEXT,
    callback_warnings TEXT NOT NULL,
    callback_method TEXT NOT NULL,
    due_us INTEGER NOT NULL
) STRICT;
CREATE INDEX sim_updates_due ON sim_updates (due_us);

CREATE TABLE callbacks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    url TEXT NOT NULL,
    credentials TEXT,
    warnings TEXT NOT NULL,
    method TEXT NOT NULL,
    body TEXT NOT NULL,
    source TEXT NOT NULL,
    source_asked TEXT,
    source_reason TEXT NOT NULL,
    idempotency_token TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    attempt_count INTEGER NOT NULL,
    due_us INTEGER,
    round_attempts INTEGER NOT NULL,
    round_began_us INTEGER,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;
CREATE INDEX callbacks_due ON callbacks (due_us) WHERE due_us IS NOT NULL;
CREATE INDEX callbacks_of_account ON callbacks (account_sid, seq);
CREATE INDEX callbacks_by_status ON callbacks (account_sid, status, seq);
CREATE INDEX callbacks_by_token ON callbacks (account_sid, idempotency_token);

-- A row is written with result 'open' before the request is sent, and settled afterwards.
CREATE TABLE attempts (
    callback_sid TEXT NOT NULL REFERENCES callbacks (sid),
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    number INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    result TEXT NOT NULL,
    status_code INTEGER,
    error_code INTEGER,
    failure TEXT,
    reason TEXT,
    duration_ms REAL,
    request TEXT,
    response TEXT,
    response_body BLOB,
    PRIMARY KEY (callback_sid, number)
) STRICT;
CREATE INDEX attempts_open ON attempts (callback_sid) WHERE result = 'open';
