-- Servers of schema 2 can go on.

-- Long actions, which run piece by piece in the process `worker`; see SQLite's schema 16.
CREATE TABLE jobs (
    seq bigint PRIMARY KEY,
    sid text NOT NULL UNIQUE,
    account_sid text NOT NULL REFERENCES accounts (sid),
    kind text NOT NULL,
    parameters text NOT NULL,
    rate bigint,
    estimate bigint NOT NULL,
    is_exact boolean NOT NULL,
    status text NOT NULL,
    status_reason text,
    counts text NOT NULL,
    position bigint,
    created_by text NOT NULL,
    idempotency_key text,
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    ended_us bigint,
    worker uuid
);
CREATE INDEX jobs_of_account ON jobs (account_sid, seq);
CREATE INDEX jobs_by_status ON jobs (account_sid, status, seq);
CREATE UNIQUE INDEX jobs_by_key ON jobs (account_sid, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_running ON jobs (worker, seq) WHERE status = 'running';
CREATE INDEX jobs_ended ON jobs (ended_us) WHERE ended_us IS NOT NULL;
