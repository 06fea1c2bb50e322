-- Long actions, which run piece by piece; `position` says where the next piece begins.

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    kind TEXT NOT NULL,
    parameters TEXT NOT NULL,
    rate INTEGER,
    estimate INTEGER NOT NULL,
    is_exact INTEGER NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    counts TEXT NOT NULL,
    position INTEGER,
    created_by TEXT NOT NULL,
    idempotency_key TEXT,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    ended_us INTEGER
) STRICT;
CREATE INDEX jobs_of_account ON jobs (account_sid, seq);
CREATE INDEX jobs_by_status ON jobs (account_sid, status, seq);
CREATE UNIQUE INDEX jobs_by_key ON jobs (account_sid, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_running ON jobs (seq) WHERE status = 'running';
CREATE INDEX jobs_ended ON jobs (ended_us) WHERE ended_us IS NOT NULL;
