-- Callbacks wait in lanes, one for each account and destination. An attempt under way has a row in
-- open_attempts, which stays small. When it ends, it moves to attempts, where rows never change.

ALTER TABLE accounts ADD COLUMN schedule TEXT;

ALTER TABLE callbacks ADD COLUMN destination TEXT NOT NULL DEFAULT '';
ALTER TABLE callbacks ADD COLUMN round_number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE callbacks ADD COLUMN idempotency_key TEXT;
ALTER TABLE callbacks ADD COLUMN replay_of TEXT;
UPDATE callbacks SET destination = destination_of(url);

DROP INDEX callbacks_due;
DROP INDEX callbacks_by_status;
CREATE INDEX callbacks_due ON callbacks (account_sid, destination, due_us)
    WHERE due_us IS NOT NULL;
CREATE INDEX callbacks_scheduled ON callbacks (account_sid, seq) WHERE status = 'scheduled';
CREATE INDEX callbacks_undelivered ON callbacks (account_sid, seq)
    WHERE status IN ('failed', 'discarded');
CREATE UNIQUE INDEX callbacks_by_key ON callbacks (account_sid, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE open_attempts (
    callback_sid TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    started_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO open_attempts
    SELECT callback_sid, number, started_us FROM attempts WHERE result = 'open';
DELETE FROM attempts WHERE result = 'open';

-- The head is the request line and the headers; the URL and the body are stored with the callback.
CREATE TABLE ended_attempts (
    callback_sid TEXT NOT NULL,
    number INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    result TEXT NOT NULL,
    status_code INTEGER,
    error_code INTEGER,
    failure TEXT,
    reason TEXT,
    total_ms REAL,
    look_up_ms REAL,
    connect_ms REAL,
    tls_ms REAL,
    first_byte_ms REAL,
    local_address TEXT,
    proxy TEXT,
    request_head TEXT,
    response_head TEXT,
    response_body BLOB,
    response_is_cut INTEGER NOT NULL,
    PRIMARY KEY (callback_sid, number)
) STRICT, WITHOUT ROWID;
INSERT INTO ended_attempts
    SELECT callback_sid, number, started_us, result, status_code, error_code, failure, reason,
        duration_ms, NULL, NULL, NULL, NULL, NULL, NULL, head_of_request(request),
        head_of_response(response), response_body, coalesce(json_extract(response, '$[2]'), 0)
    FROM attempts;
DROP TABLE attempts;
ALTER TABLE ended_attempts RENAME TO attempts;
