-- How long what is kept (`core/retention.py`), where it was set at run time: for an account (its SID),
-- for the whole server ('*'), or for data that began empty ('default'). NULL is for ever.

CREATE TABLE retention_times (
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    seconds INTEGER,
    set_us INTEGER NOT NULL,
    PRIMARY KEY (subject, kind)
) STRICT, WITHOUT ROWID;

-- Data that has no accounts yet is new. What was there before keeps everything until a time is set.
INSERT INTO retention_times
SELECT 'default', column1, column2 * 86400, 0
FROM (VALUES ('answers', 7), ('attempts', 30), ('delivered', 30), ('undelivered', 90))
WHERE NOT EXISTS (SELECT 1 FROM accounts);

-- Finds what has ended before an instant. Callbacks that their first attempt delivered are not in it.
CREATE INDEX outcomes_ended ON outcomes (account_id, status, updated_us);
