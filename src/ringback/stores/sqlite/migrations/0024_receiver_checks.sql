-- The last quick check of each receiver for each source.

CREATE TABLE receiver_checks (
    account_sid TEXT NOT NULL,
    url TEXT NOT NULL,
    source TEXT NOT NULL,
    checked_us INTEGER NOT NULL,
    fault TEXT,
    words TEXT NOT NULL,
    PRIMARY KEY (account_sid, url, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX receiver_checks_by_date ON receiver_checks (checked_us DESC, account_sid, url, source);
CREATE INDEX receiver_checks_of_account
    ON receiver_checks (account_sid, checked_us DESC, url, source);

-- The plans that jobs have carried out.
CREATE INDEX jobs_with_plan ON jobs (seq) WHERE plan_id IS NOT NULL;
CREATE INDEX jobs_with_plan_of_account ON jobs (account_sid, seq) WHERE plan_id IS NOT NULL;
