-- Programmable Wireless: its SIMs, rate plans and Commands, which can also be deleted.

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
    updated_us INTEGER NOT NULL
) STRICT;
CREATE INDEX commands_of_account ON commands (account_sid, seq);
CREATE INDEX commands_by_transport ON commands (account_sid, transport, seq);
CREATE INDEX commands_by_direction ON commands (account_sid, direction, seq);
CREATE INDEX commands_by_status ON commands (account_sid, status, seq);
CREATE INDEX commands_by_sim ON commands (account_sid, sim_sid, seq);

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

-- The places of recently deleted records in their lists, so that a page may begin at one of them.
CREATE TABLE removed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    sid TEXT NOT NULL,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    seq INTEGER NOT NULL,
    UNIQUE (table_name, sid)
) STRICT;
