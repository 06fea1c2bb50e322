-- Servers of schema 2 can go on.

-- How long what is kept; see SQLite's schema 17.

CREATE TABLE retention_times (
    subject text NOT NULL,
    kind text NOT NULL,
    seconds bigint,
    set_us bigint NOT NULL,
    PRIMARY KEY (subject, kind)
);

INSERT INTO retention_times
SELECT 'default', column1, column2 * 86400, 0
FROM (VALUES ('answers', 7), ('attempts', 30), ('delivered', 30), ('undelivered', 90)) AS defaults
WHERE NOT EXISTS (SELECT FROM accounts);

-- Outside a transaction:
CREATE INDEX CONCURRENTLY outcomes_ended ON outcomes (account_id, status, updated_us);
