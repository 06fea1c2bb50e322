-- The row of an attempt or a shadow has the first part of its answer. long_responses has the size of
-- the rest, and the digest of the whole body if it is longer than its first part. The rest itself is
-- kept only for the last answer, within a budget. Older rows have whole answers, and no rows here.

CREATE TABLE long_responses (
    sid TEXT NOT NULL,
    number INTEGER NOT NULL,
    headers_left_out INTEGER NOT NULL,
    body_left_out INTEGER NOT NULL,
    digest BLOB,
    PRIMARY KEY (sid, number)
) STRICT, WITHOUT ROWID;

-- In ascending order of `seq`, the oldest comes first. `size` counts towards the budget.
CREATE TABLE kept_responses (
    seq INTEGER PRIMARY KEY,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    number INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    size INTEGER NOT NULL,
    head TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX kept_responses_of_account ON kept_responses (account_sid, seq);

-- Bytes kept for each account, and for all accounts together under '*'. Triggers keep the count, so
-- that it is right however rows are deleted.
CREATE TABLE kept_bytes (
    account_sid TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_bytes_by_size ON kept_bytes (bytes) WHERE account_sid <> '*';

CREATE TRIGGER kept_responses_added AFTER INSERT ON kept_responses BEGIN
    INSERT INTO kept_bytes VALUES (new.account_sid, new.size), ('*', new.size)
        ON CONFLICT (account_sid) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER kept_responses_deleted AFTER DELETE ON kept_responses BEGIN
    UPDATE kept_bytes SET bytes = bytes - old.size WHERE account_sid IN (old.account_sid, '*');
END;
