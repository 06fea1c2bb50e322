-- Jobs that carry out a plan, which may be the operator's, over all accounts: then `account_sid` is
-- '*'. `plan_lines` has the plans and their journals, as JSON, line by line.

CREATE TABLE new_jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
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
    ended_us INTEGER,
    plan_id TEXT
) STRICT;
-- So that no job gets the number of one that was deleted.
INSERT INTO sqlite_sequence SELECT 'new_jobs', seq FROM sqlite_sequence WHERE name = 'jobs';
INSERT INTO new_jobs SELECT *, NULL FROM jobs;
DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;
DELETE FROM sqlite_sequence WHERE name = 'jobs' AND seq = 0;
CREATE INDEX jobs_of_account ON jobs (account_sid, seq);
CREATE INDEX jobs_by_status ON jobs (account_sid, status, seq);
CREATE UNIQUE INDEX jobs_by_key ON jobs (account_sid, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_of_plan ON jobs (account_sid, plan_id, seq) WHERE plan_id IS NOT NULL;
CREATE INDEX jobs_running ON jobs (seq) WHERE status = 'running';
CREATE INDEX jobs_ended ON jobs (ended_us) WHERE ended_us IS NOT NULL;

CREATE TABLE plan_lines (
    account_sid TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (account_sid, plan_id, number)
) STRICT, WITHOUT ROWID;
