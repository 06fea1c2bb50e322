-- Copies of callbacks, sent from another source and compared with the first attempts. A row is
-- written with result 'open' before its request is sent; method and body are the callback's.

CREATE TABLE shadows (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    callback_sid TEXT NOT NULL REFERENCES callbacks (sid),
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    source TEXT NOT NULL,
    idempotency_token TEXT NOT NULL,
    url TEXT NOT NULL,
    credentials TEXT,
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
    response_is_cut INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX shadows_of_account ON shadows (account_sid, seq);
CREATE INDEX shadows_of_callback ON shadows (callback_sid, seq);
CREATE INDEX shadows_open ON shadows (seq) WHERE result = 'open';
