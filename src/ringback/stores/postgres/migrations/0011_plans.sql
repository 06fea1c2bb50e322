-- Servers of schema 2 can go on.

-- Jobs that carry out a plan, and the plans' lines; see SQLite's schema 21.
ALTER TABLE jobs DROP CONSTRAINT jobs_account_sid_fkey;
ALTER TABLE jobs ADD COLUMN plan_id text;
CREATE INDEX jobs_of_plan ON jobs (account_sid, plan_id, seq) WHERE plan_id IS NOT NULL;
CREATE TABLE plan_lines (
    account_sid text NOT NULL,
    plan_id text NOT NULL,
    number bigint NOT NULL,
    line text NOT NULL,
    PRIMARY KEY (account_sid, plan_id, number)
);
