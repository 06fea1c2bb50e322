-- Callbacks and attempts in narrow rows. What never changes is written once; only the small table
-- `waiting` changes. Most callbacks are sent at once and delivered by their first attempt: these
-- have a row in `callbacks` and one in `attempts`. While a callback waits, it has a row in
-- `waiting`; if it has ended in any other way, it has a row in `outcomes`.
--
-- This step starts from empty tables: `table_rebuild` copies an older file into a new one.
--
-- The ids of callbacks, targets, heads, results and bodies are made by the process, in ascending
-- order of time (`row_ids`). Rows that refer to them are not checked by foreign keys: each check
-- would cost as much as the row, and deleting old rows would search for those that refer to them.

DROP TABLE attempts;
DROP TABLE open_attempts;
DROP TABLE shadows;
DROP TABLE callbacks;
DROP TABLE accounts;

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    sid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    auth_token TEXT NOT NULL,
    uses_static_proxy INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    schedule TEXT,
    parent_sid TEXT REFERENCES accounts (sid),
    kore_id TEXT NOT NULL DEFAULT '',
    secondary_auth_token TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX accounts_by_kore_id ON accounts (kore_id);
CREATE INDEX accounts_of_parent ON accounts (parent_sid);

-- The number that the last process got for its ids; at most one row.
CREATE TABLE id_leases (number INTEGER NOT NULL) STRICT;

CREATE TABLE lanes (
    id INTEGER PRIMARY KEY,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    destination TEXT NOT NULL,
    UNIQUE (account_sid, destination)
) STRICT;

-- What many callbacks of an account have in common. The same values may have several rows: a row is
-- used again for a day at most, so that rows older than the oldest callback can be deleted.
CREATE TABLE callback_targets (
    id INTEGER PRIMARY KEY,
    account_sid TEXT NOT NULL,
    url TEXT NOT NULL,
    credentials TEXT,
    warnings TEXT NOT NULL,
    method TEXT NOT NULL,
    source TEXT NOT NULL,
    source_asked TEXT,
    source_reason TEXT NOT NULL,
    event TEXT,
    is_test INTEGER NOT NULL,
    secret_id TEXT
) STRICT;

-- A callback's parameters are in its own row, or in a row of `bodies` that several callbacks share.
-- `order_key` is for callbacks that have to be sent in order.
CREATE TABLE callbacks (
    id INTEGER PRIMARY KEY,
    sid TEXT NOT NULL UNIQUE,
    account_id INTEGER NOT NULL,
    lane_id INTEGER NOT NULL,
    target_id INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    idempotency_token TEXT NOT NULL,
    idempotency_key TEXT,
    sim_sid TEXT,
    replay_of TEXT,
    order_key TEXT,
    body_id INTEGER,
    body TEXT
) STRICT;
CREATE INDEX callbacks_of_account ON callbacks (account_id, id);
CREATE INDEX callbacks_by_token ON callbacks (idempotency_token);
CREATE UNIQUE INDEX callbacks_by_key ON callbacks (account_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- Callbacks that have not ended, lane by lane, in the order in which they are due. `started_us` is
-- when the attempt under way began. A claim sets only this column: the others then are from before
-- the attempt. If an attempt began in any other way, `due_us` is the highest integer. `is_appointed`
-- is 1 if the callback has a due time that its sender asked for, and nothing has happened since.
CREATE TABLE waiting (
    lane_id INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    started_us INTEGER,
    is_appointed INTEGER NOT NULL,
    attempt_count INTEGER NOT NULL,
    round_attempts INTEGER NOT NULL,
    round_number INTEGER NOT NULL,
    round_began_us INTEGER,
    updated_us INTEGER NOT NULL,
    PRIMARY KEY (lane_id, due_us, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX waiting_of_account ON waiting (account_id, id);

-- Callbacks whose first attempt began in the commit that added them, until this attempt has ended.
CREATE TABLE sent_at_once (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    started_us INTEGER NOT NULL
) STRICT;

-- Callbacks that have ended, but for those that their first attempt has delivered.
-- `status` is 1 for delivered, 2 for failed, 3 for discarded.
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    status INTEGER NOT NULL,
    status_reason TEXT,
    attempt_count INTEGER NOT NULL,
    round_number INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;
-- Delivered callbacks are never in these indexes.
CREATE INDEX outcomes_undelivered ON outcomes (account_id, id) WHERE status > 1;
CREATE INDEX outcomes_undelivered_of_all ON outcomes (id) WHERE status > 1;

-- The request line and headers of requests, with a placeholder for each part that differs.
CREATE TABLE request_heads (
    id INTEGER PRIMARY KEY,
    account_sid TEXT NOT NULL,
    head TEXT NOT NULL
) STRICT;

-- How attempts ended, and what was answered; the body is in `answer_bodies`, under the same id.
CREATE TABLE attempt_results (
    id INTEGER PRIMARY KEY,
    account_sid TEXT NOT NULL,
    result TEXT NOT NULL,
    status_code INTEGER,
    error_code INTEGER,
    failure TEXT,
    reason TEXT,
    local_address TEXT,
    proxy TEXT,
    response_head TEXT,
    response_is_cut INTEGER NOT NULL
) STRICT;
CREATE TABLE answer_bodies (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- An attempt that has ended. `signature` and `sent_us` fill the placeholders of its head. A first
-- attempt that has delivered its callback has the time of the delivery in `delivered_us`.
CREATE TABLE attempts (
    callback_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    result_id INTEGER NOT NULL,
    head_id INTEGER,
    signature TEXT,
    sent_us INTEGER,
    delivered_us INTEGER,
    total_ms REAL,
    look_up_ms REAL,
    connect_ms REAL,
    tls_ms REAL,
    first_byte_ms REAL,
    PRIMARY KEY (callback_id, number)
) STRICT, WITHOUT ROWID;

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
