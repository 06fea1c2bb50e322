-- All tables of a new data file: what the steps in `migrations/` make of an empty one, in one piece.
-- Whoever adds a step changes this file too; a test compares the two.
--
-- Times are whole microseconds since 1970-01-01T00:00:00Z. Lists are in descending order of `seq`.
-- `created_by` is whose request created a callback, message or order: the SID of an API key or account,
-- or the id of an API client; NULL for the server itself, and for rows of earlier schemas.
-- If several indexes fit a list with several filters, SQLite takes the one created last: so the index
-- that leaves the fewest rows comes last.

-- Accounts and their secrets.

-- `auth_token` and all other secrets that must stay readable are encrypted; those that only have to
-- be compared are hashed.
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

-- Keys of accounts, and of the operator (no account). Ended keys stay, because the audit names them.
CREATE TABLE api_keys (
    sid TEXT PRIMARY KEY,
    account_sid TEXT REFERENCES accounts (sid),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    role TEXT NOT NULL DEFAULT 'full',
    ended_us INTEGER,
    last_used_us INTEGER
) STRICT;
CREATE INDEX api_keys_of_account ON api_keys (account_sid);

CREATE TABLE api_clients (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    type TEXT NOT NULL,
    products TEXT NOT NULL,
    lifetime_s INTEGER NOT NULL,
    locked INTEGER,
    created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX api_clients_of_account ON api_clients (account_sid);

-- Sessions of the console (`core/accounts/console_session.py`): tokens only as hashes.
CREATE TABLE console_sessions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    token_hash TEXT NOT NULL UNIQUE,
    credential TEXT NOT NULL,
    proof TEXT NOT NULL,
    address TEXT,
    created_us INTEGER NOT NULL,
    last_used_us INTEGER NOT NULL
) STRICT;
CREATE INDEX console_sessions_of_credential ON console_sessions (credential);
CREATE INDEX console_sessions_by_use ON console_sessions (last_used_us);

-- Links to one callback or destination, which are opened without signing in: tokens only as hashes.
CREATE TABLE shared_links (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    note TEXT,
    token_hash TEXT NOT NULL UNIQUE,
    created_by TEXT,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    ended_us INTEGER,
    last_used_us INTEGER,
    uses INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX shared_links_of_account ON shared_links (account_sid, seq);
CREATE INDEX shared_links_by_expiry ON shared_links (expires_us);

-- The key that signs the tokens of API clients; at most one row.
CREATE TABLE token_keys (
    id TEXT PRIMARY KEY,
    private_key TEXT NOT NULL
) STRICT;

CREATE TABLE webhook_secrets (
    id TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    status TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    modified_us INTEGER NOT NULL,
    UNIQUE (account_sid, status)
) STRICT;

-- The id of the key that all secrets are encrypted with, and whether their earlier form has been
-- wiped from the file; no row while secrets are plain text.
CREATE TABLE sealed_with (
    key_id TEXT PRIMARY KEY,
    is_wiped INTEGER NOT NULL
) STRICT;

-- Callbacks and attempts, in narrow rows.
--
-- What never changes is written once; only the small table `waiting` changes. Most callbacks are sent
-- at once and delivered by their first attempt: these have a row in `callbacks` and one in `attempts`.
-- While a callback waits, it has a row in `waiting`; if it has ended in any other way, it has a row in
-- `outcomes`.
--
-- The ids of callbacks, targets, heads, results and bodies are made by the process, in ascending order
-- of time (`row_ids`). Rows that refer to them are not checked by foreign keys: each check would cost
-- as much as the row, and deleting old rows would search for those that refer to them.

-- Where callbacks wait: one lane for each account and destination. A destination is a scheme, a host
-- and a port; a path pattern follows if it is only the part of it that settings split off.
CREATE TABLE lanes (
    id INTEGER PRIMARY KEY,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    destination TEXT NOT NULL,
    UNIQUE (account_sid, destination)
) STRICT;

-- What is set for destinations: by their account (`owner` is `account`), or by the operator, whose
-- `account_sid` may be '*' for all accounts. `settings` is JSON; `secrets` is JSON, too, and encrypted.
-- `paused_us` is since when they are paused, `resumed_us` when that last ended. Each change gets the next `revision`, by which servers
-- find what others have changed; `installation` has the last one.
CREATE TABLE destination_settings (
    sid TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    account_sid TEXT NOT NULL,
    pattern TEXT NOT NULL,
    settings TEXT NOT NULL,
    secrets TEXT,
    paused_us INTEGER,
    paused_until_us INTEGER,
    pause_reason TEXT,
    resumed_us INTEGER,
    updated_us INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (owner, account_sid, pattern)
) STRICT;
CREATE INDEX destination_settings_by_revision ON destination_settings (revision);

-- What has become of a lane's destination, as JSON: its breaker, how long it is held, since when it is
-- disabled. A lane of which nothing is to be said has no row.
CREATE TABLE destination_states (
    lane_id INTEGER PRIMARY KEY,
    state TEXT NOT NULL
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
    secret_id TEXT,
    created_by TEXT,
    stream_sid TEXT
) STRICT;

-- The parameters of callbacks, for rows that share them.
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL
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

-- Big batches of new callbacks, as text: one commit makes a batch durable, and small commits then add
-- its callbacks, so that no commit keeps others waiting for long.
CREATE TABLE batched_callbacks (
    number INTEGER PRIMARY KEY,
    callback TEXT NOT NULL
) STRICT;

-- Callbacks that have not ended, lane by lane, in the order in which they are due. `started_us` is
-- when the attempt under way began. A claim sets only this column: the others then are from before
-- the attempt. If an attempt began in any other way, `due_us` is the highest integer. `is_appointed`
-- is 1 if the callback has a due time that its sender asked for, and nothing has happened since.
--
-- A callback that waits for another one of its order key has that key here; `due_us` is the last
-- instant of the year 9999, and `own_due_us` is when it is due once its turn comes. Of those with the
-- same key, the one with the lowest `order_place` is next.
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
    order_key TEXT,
    order_place INTEGER,
    own_due_us INTEGER,
    PRIMARY KEY (lane_id, due_us, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX waiting_of_account ON waiting (account_id, id);
CREATE INDEX waiting_in_order ON waiting (lane_id, order_key, order_place)
    WHERE order_key IS NOT NULL;

-- Of the callbacks in a lane with the same order key that have not ended, the one that may be sent; the
-- others wait for its end. `last_place` is the highest place of those that have joined it so far, and
-- 1 if none has.
CREATE TABLE order_heads (
    lane_id INTEGER NOT NULL,
    order_key TEXT NOT NULL,
    callback_id INTEGER NOT NULL,
    last_place INTEGER NOT NULL,
    PRIMARY KEY (lane_id, order_key)
) STRICT, WITHOUT ROWID;

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
-- Finds what has ended before an instant. Callbacks that their first attempt delivered are not in it.
CREATE INDEX outcomes_ended ON outcomes (account_id, status, updated_us);

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

-- The bodies of answers, which retention may delete before the attempts.
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

-- Answers that are longer than what the row of their attempt or shadow has: the size of the rest, and
-- the digest of the whole body. Older rows have whole answers, and no rows here.
CREATE TABLE long_responses (
    sid TEXT NOT NULL,
    number INTEGER NOT NULL,
    headers_left_out INTEGER NOT NULL,
    body_left_out INTEGER NOT NULL,
    digest BLOB,
    PRIMARY KEY (sid, number)
) STRICT, WITHOUT ROWID;

-- The rest of long answers, kept only for the last answer, within a budget. In ascending order of
-- `seq`, the oldest comes first. `size` counts towards the budget.
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
CREATE TRIGGER kept_responses_added AFTER INSERT ON kept_responses BEGIN
    INSERT INTO kept_bytes VALUES (new.account_sid, new.size), ('*', new.size)
        ON CONFLICT (account_sid) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER kept_responses_deleted AFTER DELETE ON kept_responses BEGIN
    UPDATE kept_bytes SET bytes = bytes - old.size WHERE account_sid IN (old.account_sid, '*');
END;

-- Bytes kept for each account, and for all accounts together under '*'. Triggers keep the count, so
-- that it is right however rows are deleted.
CREATE TABLE kept_bytes (
    account_sid TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_bytes_by_size ON kept_bytes (bytes) WHERE account_sid <> '*';

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
    response_is_cut INTEGER NOT NULL DEFAULT 0,
    body TEXT
) STRICT;
CREATE INDEX shadows_of_account ON shadows (account_sid, seq);
CREATE INDEX shadows_of_callback ON shadows (callback_sid, seq);
CREATE INDEX shadows_open ON shadows (seq) WHERE result = 'open';

-- The number that the last process got for its ids; at most one row.
CREATE TABLE id_leases (
    number INTEGER NOT NULL
) STRICT;

-- Work that is due later.

-- Scheduled tasks, by due time; at most one task per resource and step.
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    subject_sid TEXT NOT NULL,
    step TEXT NOT NULL,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    due_us INTEGER NOT NULL,
    UNIQUE (subject_sid, step)
) STRICT;
CREATE INDEX tasks_due ON tasks (due_us, seq);

-- What the emulated network is to do to a SIM or a message.
CREATE TABLE scenarios (
    subject_sid TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Long actions, which run piece by piece; `position` says where the next piece begins.
CREATE TABLE jobs (
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
CREATE INDEX jobs_of_account ON jobs (account_sid, seq);
CREATE INDEX jobs_by_status ON jobs (account_sid, status, seq);
CREATE UNIQUE INDEX jobs_by_key ON jobs (account_sid, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_of_plan ON jobs (account_sid, plan_id, seq) WHERE plan_id IS NOT NULL;
CREATE INDEX jobs_running ON jobs (seq) WHERE status = 'running';
CREATE INDEX jobs_ended ON jobs (ended_us) WHERE ended_us IS NOT NULL;
CREATE INDEX jobs_with_plan ON jobs (seq) WHERE plan_id IS NOT NULL;
CREATE INDEX jobs_with_plan_of_account ON jobs (account_sid, seq) WHERE plan_id IS NOT NULL;

-- The plans that jobs carry out, and their journals: JSON, line by line.
CREATE TABLE plan_lines (
    account_sid TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (account_sid, plan_id, number)
) STRICT, WITHOUT ROWID;

-- The last quick check of each receiver for each source; `fault` is its name, null if it is ready.
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

-- Super SIM.

CREATE TABLE access_profiles (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    unique_name TEXT,
    network_sids TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    UNIQUE (account_sid, unique_name)
) STRICT;
CREATE INDEX access_profiles_of_account ON access_profiles (account_sid, seq);

CREATE TABLE fleets (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    unique_name TEXT,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    network_access_profile_sid TEXT REFERENCES access_profiles (sid),
    data_enabled INTEGER NOT NULL DEFAULT 1,
    data_limit INTEGER NOT NULL DEFAULT 1000,
    sms_commands_enabled INTEGER NOT NULL DEFAULT 1,
    sms_commands_url TEXT,
    sms_commands_credentials TEXT,
    sms_commands_warnings TEXT NOT NULL DEFAULT '[]',
    sms_commands_method TEXT NOT NULL DEFAULT 'POST',
    ip_commands_url TEXT,
    ip_commands_credentials TEXT,
    ip_commands_warnings TEXT NOT NULL DEFAULT '[]',
    ip_commands_method TEXT NOT NULL DEFAULT 'POST',
    UNIQUE (account_sid, unique_name)
) STRICT;
CREATE INDEX fleets_of_account ON fleets (account_sid, seq);
CREATE INDEX fleets_by_profile ON fleets (account_sid, network_access_profile_sid, seq);

-- `update_asked_us` and `update_asked_by` are of the last update: when, and by whose key.
CREATE TABLE sims (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    iccid TEXT NOT NULL UNIQUE,
    unique_name TEXT,
    status TEXT NOT NULL,
    fleet_sid TEXT REFERENCES fleets (sid),
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    device_ip TEXT,
    ready_since_us INTEGER,
    sms_while_ready INTEGER NOT NULL DEFAULT 0,
    update_asked_us INTEGER,
    update_asked_by TEXT,
    UNIQUE (account_sid, unique_name)
) STRICT;
CREATE INDEX sims_of_account ON sims (account_sid, seq);
CREATE INDEX sims_by_status ON sims (account_sid, status, seq);
CREATE INDEX sims_by_fleet ON sims (account_sid, fleet_sid, seq);
CREATE UNIQUE INDEX sims_by_device_ip ON sims (device_ip);
CREATE INDEX sims_by_fleet_and_status ON sims (account_sid, fleet_sid, status, seq);

-- Changes of SIMs that the network has not carried out yet; a SIM has at most one.
CREATE TABLE sim_updates (
    sim_sid TEXT PRIMARY KEY REFERENCES sims (sid),
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    to_fleet_sid TEXT REFERENCES fleets (sid),
    callback_url TEXT,
    callback_credentials TEXT,
    callback_warnings TEXT NOT NULL,
    callback_method TEXT NOT NULL
) STRICT;

CREATE TABLE sms_commands (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    sim_sid TEXT NOT NULL REFERENCES sims (sid),
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    direction TEXT NOT NULL,
    callback_url TEXT,
    callback_credentials TEXT,
    callback_warnings TEXT NOT NULL,
    callback_method TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX sms_commands_of_account ON sms_commands (account_sid, seq);
CREATE INDEX sms_commands_by_direction ON sms_commands (account_sid, direction, seq);
CREATE INDEX sms_commands_by_status ON sms_commands (account_sid, status, seq);
CREATE INDEX sms_commands_by_sim ON sms_commands (account_sid, sim_sid, seq);

CREATE TABLE ip_commands (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    sim_sid TEXT NOT NULL REFERENCES sims (sid),
    sim_iccid TEXT NOT NULL,
    status TEXT NOT NULL,
    direction TEXT NOT NULL,
    device_ip TEXT,
    device_port INTEGER NOT NULL,
    payload_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    callback_url TEXT,
    callback_credentials TEXT,
    callback_warnings TEXT NOT NULL,
    callback_method TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX ip_commands_of_account ON ip_commands (account_sid, seq);
CREATE INDEX ip_commands_by_direction ON ip_commands (account_sid, direction, seq);
CREATE INDEX ip_commands_by_status ON ip_commands (account_sid, status, seq);
CREATE INDEX ip_commands_by_iccid ON ip_commands (account_sid, sim_iccid, seq);
CREATE INDEX ip_commands_by_sim ON ip_commands (account_sid, sim_sid, seq);

CREATE TABLE esim_profiles (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    status TEXT NOT NULL,
    eid TEXT,
    has_matching_id INTEGER NOT NULL,
    iccid TEXT,
    sim_sid TEXT REFERENCES sims (sid),
    smdp_plus_address TEXT,
    matching_id TEXT,
    error_code TEXT,
    error_message TEXT,
    callback_url TEXT,
    callback_credentials TEXT,
    callback_warnings TEXT NOT NULL,
    callback_method TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX esim_profiles_of_account ON esim_profiles (account_sid, seq);
CREATE INDEX esim_profiles_by_status ON esim_profiles (account_sid, status, seq);
CREATE INDEX esim_profiles_by_sim ON esim_profiles (account_sid, sim_sid, seq);
CREATE INDEX esim_profiles_by_eid ON esim_profiles (account_sid, eid, seq);

CREATE TABLE settings_updates (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    iccid TEXT NOT NULL,
    sim_sid TEXT NOT NULL REFERENCES sims (sid),
    status TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    completed_us INTEGER
) STRICT;
CREATE INDEX settings_updates_of_account ON settings_updates (account_sid, seq);
CREATE INDEX settings_updates_by_status ON settings_updates (account_sid, status, seq);
CREATE INDEX settings_updates_by_sim ON settings_updates (account_sid, sim_sid, seq);

CREATE TABLE billing_periods (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    sim_sid TEXT NOT NULL REFERENCES sims (sid),
    period_type TEXT NOT NULL,
    start_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;
CREATE INDEX billing_periods_by_sim ON billing_periods (account_sid, sim_sid, seq);

-- A session uses a fixed number of bytes per hour, so nothing is written between start and end, but
-- what event streams have got of it; `reported_until_us` is null if they don't follow it.
CREATE TABLE data_sessions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    sim_sid TEXT NOT NULL REFERENCES sims (sid),
    fleet_sid TEXT NOT NULL REFERENCES fleets (sid),
    network_sid TEXT NOT NULL,
    iso_country TEXT NOT NULL,
    upload_per_hour INTEGER NOT NULL,
    download_per_hour INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    ended_us INTEGER,
    reported_until_us INTEGER,
    reported_upload INTEGER NOT NULL DEFAULT 0,
    reported_download INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX data_sessions_of_account ON data_sessions (account_sid, seq);
CREATE INDEX data_sessions_by_fleet ON data_sessions (fleet_sid, seq);
CREATE INDEX data_sessions_by_sim ON data_sessions (sim_sid, seq);
CREATE INDEX data_sessions_ending ON data_sessions (sim_sid, ended_us);
CREATE INDEX data_sessions_followed ON data_sessions (sim_sid, seq)
WHERE reported_until_us IS NOT NULL;

-- Programmable Wireless.

CREATE TABLE rate_plans (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    unique_name TEXT,
    friendly_name TEXT,
    data_enabled INTEGER NOT NULL,
    data_limit INTEGER NOT NULL,
    data_metering TEXT NOT NULL,
    messaging_enabled INTEGER NOT NULL,
    voice_enabled INTEGER NOT NULL,
    national_roaming_enabled INTEGER NOT NULL,
    national_roaming_data_limit INTEGER NOT NULL,
    international_roaming TEXT NOT NULL,
    international_roaming_data_limit INTEGER NOT NULL,
    data_limit_strategy TEXT NOT NULL,
    usage_notification_url TEXT,
    usage_notification_method TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    UNIQUE (account_sid, unique_name)
) STRICT;
CREATE INDEX rate_plans_of_account ON rate_plans (account_sid, seq);

CREATE TABLE wireless_sims (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    iccid TEXT NOT NULL UNIQUE,
    unique_name TEXT,
    friendly_name TEXT,
    status TEXT NOT NULL,
    rate_plan_sid TEXT REFERENCES rate_plans (sid),
    eid TEXT,
    registration_code TEXT,
    is_narrowband INTEGER NOT NULL,
    commands_to_url TEXT,
    commands_to_credentials TEXT,
    commands_to_warnings TEXT NOT NULL,
    commands_to_method TEXT NOT NULL,
    handlers TEXT NOT NULL,
    is_resetting INTEGER NOT NULL,
    reset_to_url TEXT,
    reset_to_credentials TEXT,
    reset_to_warnings TEXT NOT NULL,
    reset_to_method TEXT NOT NULL,
    final_to_url TEXT,
    final_to_credentials TEXT,
    final_to_warnings TEXT NOT NULL,
    final_to_method TEXT NOT NULL,
    status_since_us INTEGER,
    commands_while_ready INTEGER NOT NULL,
    metered_since_us INTEGER,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    update_asked_us INTEGER,
    update_asked_by TEXT,
    UNIQUE (account_sid, unique_name)
) STRICT;
CREATE INDEX wireless_sims_of_account ON wireless_sims (account_sid, seq);
CREATE INDEX wireless_sims_by_status ON wireless_sims (account_sid, status, seq);
CREATE INDEX wireless_sims_of_plan ON wireless_sims (rate_plan_sid);
CREATE INDEX wireless_sims_by_plan ON wireless_sims (account_sid, rate_plan_sid, seq);
CREATE INDEX wireless_sims_by_plan_and_status
    ON wireless_sims (account_sid, rate_plan_sid, status, seq);
CREATE INDEX wireless_sims_by_eid ON wireless_sims (account_sid, eid, seq);
CREATE INDEX wireless_sims_by_code ON wireless_sims (account_sid, registration_code, seq);

-- Changes of Programmable Wireless SIMs that the network has not carried out yet.
CREATE TABLE wireless_updates (
    sim_sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    to_rate_plan_sid TEXT,
    told_url TEXT,
    told_credentials TEXT,
    told_warnings TEXT NOT NULL,
    told_method TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX wireless_updates_to_plan ON wireless_updates (to_rate_plan_sid);

-- A SIM's Commands, sessions and usage stay when the SIM is deleted: so no foreign keys to SIMs.
CREATE TABLE commands (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    sim_sid TEXT NOT NULL,
    command TEXT NOT NULL,
    command_mode TEXT NOT NULL,
    transport TEXT NOT NULL,
    status TEXT NOT NULL,
    direction TEXT NOT NULL,
    include_sid TEXT NOT NULL,
    delivery_receipt_requested INTEGER NOT NULL,
    told_url TEXT,
    told_credentials TEXT,
    told_warnings TEXT NOT NULL,
    told_method TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX commands_of_account ON commands (account_sid, seq);
CREATE INDEX commands_by_transport ON commands (account_sid, transport, seq);
CREATE INDEX commands_by_direction ON commands (account_sid, direction, seq);
CREATE INDEX commands_by_status ON commands (account_sid, status, seq);
CREATE INDEX commands_by_sim ON commands (account_sid, sim_sid, seq);
CREATE INDEX commands_by_sim_and_status ON commands (account_sid, sim_sid, status, seq);

-- The Commands that count as usage of their SIM.
CREATE TABLE command_uses (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    sim_sid TEXT NOT NULL,
    network_sid TEXT NOT NULL,
    direction TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX command_uses_of_account ON command_uses (account_sid, at_us);
CREATE INDEX command_uses_of_sim ON command_uses (sim_sid, at_us);

CREATE TABLE wireless_sessions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    sim_sid TEXT NOT NULL,
    network_sid TEXT NOT NULL,
    rate_plan_sid TEXT NOT NULL,
    iccid TEXT NOT NULL,
    radio_link TEXT NOT NULL,
    upload_per_hour INTEGER NOT NULL,
    download_per_hour INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    ended_us INTEGER
) STRICT;
CREATE INDEX wireless_sessions_of_account ON wireless_sessions (account_sid, seq);
CREATE INDEX wireless_sessions_by_sim ON wireless_sessions (sim_sid, seq);
CREATE INDEX wireless_sessions_ending ON wireless_sessions (sim_sid, ended_us);

-- The places of recently deleted records in their lists, so that a page may begin at one of them.
CREATE TABLE removed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    sid TEXT NOT NULL,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    seq INTEGER NOT NULL,
    UNIQUE (table_name, sid)
) STRICT;

-- The server itself.

-- The versions of the policy, as JSON; the one with the highest number is in force. `file_hash` is the
-- hash of the policy part of the settings file that made it; NULL if the operator made it by the API.
-- A part makes one version only.
CREATE TABLE policy_versions (
    number INTEGER PRIMARY KEY,
    policy TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    origin TEXT NOT NULL,
    file_hash TEXT UNIQUE
) STRICT;

-- Who changed what. `before` and `after` are JSON objects of the changed fields, without secrets. Rows
-- never change.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    created_us INTEGER NOT NULL,
    account_sid TEXT,
    actor_kind TEXT NOT NULL,
    actor TEXT,
    actor_name TEXT,
    address TEXT,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;
CREATE INDEX audit_of_account ON audit (account_sid, seq);
CREATE INDEX audit_of_subject ON audit (subject, seq);
CREATE INDEX audit_of_actor ON audit (actor, seq);
CREATE INDEX audit_by_time ON audit (created_us);
-- Entries of sign-ins and sign-outs go earlier than those of changes.
CREATE INDEX audit_of_sign_ins ON audit (created_us) WHERE action IN ('SignIn', 'SignOut');

-- What was counted of callbacks: accepted ones, attempts and so on, for a minute (`span_s` is 60), an
-- hour (3600) or a day (86400), of one lane and one source. A number is NULL if it is 0. Processes only
-- add rows, so a span can have several of them. `is_summed` is 1 if the row was also added to a row of
-- the next longer span.
--
-- `failures` has the failed attempts by reason, in JSON. `attempt_time_0` to `attempt_time_12` count
-- the attempts that took up to 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 and 15 s, and the
-- longer ones; `delivery_time_0` to `delivery_time_12` count the deliveries that took, since the creation
-- of the callback, up to 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30, 300, 3600, 21600 and 86400 s, and the
-- longer ones.
CREATE TABLE counters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    span_s INTEGER NOT NULL,
    began_us INTEGER NOT NULL,
    lane_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    is_summed INTEGER NOT NULL,
    accepted INTEGER,
    attempts INTEGER,
    retried INTEGER,
    delivered INTEGER,
    failed INTEGER,
    discarded INTEGER,
    replayed INTEGER,
    attempt_time_0 INTEGER,
    attempt_time_1 INTEGER,
    attempt_time_2 INTEGER,
    attempt_time_3 INTEGER,
    attempt_time_4 INTEGER,
    attempt_time_5 INTEGER,
    attempt_time_6 INTEGER,
    attempt_time_7 INTEGER,
    attempt_time_8 INTEGER,
    attempt_time_9 INTEGER,
    attempt_time_10 INTEGER,
    attempt_time_11 INTEGER,
    attempt_time_12 INTEGER,
    delivery_time_0 INTEGER,
    delivery_time_1 INTEGER,
    delivery_time_2 INTEGER,
    delivery_time_3 INTEGER,
    delivery_time_4 INTEGER,
    delivery_time_5 INTEGER,
    delivery_time_6 INTEGER,
    delivery_time_7 INTEGER,
    delivery_time_8 INTEGER,
    delivery_time_9 INTEGER,
    delivery_time_10 INTEGER,
    delivery_time_11 INTEGER,
    delivery_time_12 INTEGER,
    failures TEXT
) STRICT;
CREATE INDEX counters_of_span ON counters (span_s, began_us);
CREATE INDEX counters_of_lane ON counters (lane_id, span_s, began_us);
CREATE INDEX counters_to_sum_up ON counters (span_s, lane_id, began_us, seq) WHERE NOT is_summed;

-- How long what is kept (`core/retention.py`), where it was set at run time: for an account (its SID),
-- for the whole server ('*'), or for data that began empty ('default'). NULL is for ever.
CREATE TABLE retention_times (
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    seconds INTEGER,
    set_us INTEGER NOT NULL,
    PRIMARY KEY (subject, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO retention_times
SELECT 'default', column1, column2 * 86400, 0
FROM (VALUES ('answers', 7), ('attempts', 30), ('delivered', 30), ('undelivered', 90));

-- What is known about these data as a whole; one row. While `paused_us` is set, servers send nothing.
-- `written_in` is only for PostgreSQL: the database in which the data was last found. `fingerprint` is
-- made once, and copied with the data: a plan of `ringback migrate` is bound to it.
CREATE TABLE installation (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    written_in TEXT,
    paused_us INTEGER,
    paused_reason TEXT,
    fingerprint TEXT,
    destinations_revision INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO installation (number, fingerprint) VALUES (1, lower(hex(randomblob(16))));

-- The copies (`ringback db copy`) that this data was made by or copied with, at most one of each role:
-- `target` if it was filled by a copy, `source` if it was copied to another place. `copy_id` is the same
-- in both places. `ended_us` is NULL until all is there. `tables` and `after` say how far a copy to here
-- has come: the number of complete tables, and the key of the last row of the next one.
CREATE TABLE data_copies (
    role TEXT PRIMARY KEY,
    copy_id TEXT NOT NULL,
    other TEXT NOT NULL,
    began_us INTEGER NOT NULL,
    ended_us INTEGER,
    tables INTEGER NOT NULL DEFAULT 0,
    after TEXT NOT NULL DEFAULT '[]'
) STRICT;

-- Event streams.

-- Where events go: Twilio's Sinks and KORE's destinations. `configuration` is JSON, without the URL.
CREATE TABLE stream_sinks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    source TEXT NOT NULL,
    description TEXT NOT NULL,
    sink_type TEXT NOT NULL,
    url TEXT NOT NULL,
    url_credentials TEXT,
    url_warnings TEXT NOT NULL,
    method TEXT NOT NULL,
    has_batches INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    status TEXT NOT NULL,
    test_id TEXT,
    test_sid TEXT,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX stream_sinks_of_account ON stream_sinks (account_sid, seq);

-- Who gets which events: Twilio's Subscriptions and KORE's streaming rules. `types` is JSON: the types of
-- events, and the version of the schema in which each is sent.
CREATE TABLE stream_subscriptions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    sink_sid TEXT NOT NULL,
    source TEXT NOT NULL,
    description TEXT NOT NULL,
    types TEXT NOT NULL,
    is_enabled INTEGER NOT NULL,
    product_group TEXT,
    notes TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX stream_subscriptions_of_account ON stream_subscriptions (account_sid, seq);
CREATE INDEX stream_subscriptions_of_sink ON stream_subscriptions (account_sid, sink_sid, seq);

-- Events, once for all subscribers. Ids are made like those of callbacks. `type` is the place of the
-- event's type in `core/streams/event_types.py`; `data` is JSON.
CREATE TABLE stream_events (
    id INTEGER PRIMARY KEY,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    sim_sid TEXT NOT NULL,
    type INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX stream_events_of_account ON stream_events (account_sid, id);
CREATE INDEX stream_events_of_sim ON stream_events (sim_sid, id);
CREATE INDEX stream_events_by_date ON stream_events (created_us);

-- Who waits for which event. A row goes when the event is in a batch.
CREATE TABLE stream_pending (
    subscription_sid TEXT NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (subscription_sid, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stream_pending_by_event ON stream_pending (event_id);

-- Callbacks whose body names events, and the first of these events, which must not go before them.
CREATE TABLE stream_batches (
    callback_sid TEXT PRIMARY KEY,
    first_event_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX stream_batches_by_event ON stream_batches (first_event_id, callback_sid);
