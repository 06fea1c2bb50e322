-- The whole Super SIM API. `tasks` has the scheduled tasks of all kinds of resources.
-- If several indexes fit a list with several filters, SQLite takes the one created last: so the index
-- that leaves the fewest rows comes last.

ALTER TABLE accounts ADD COLUMN parent_sid TEXT REFERENCES accounts (sid);

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

-- Fleets had no network access profile so far, but need one now: it allows every network.
INSERT INTO access_profiles (sid, account_sid, unique_name, network_sids, created_us, updated_us)
SELECT 'HA' || lower(hex(randomblob(16))), account_sid, NULL, '[]', min(created_us), min(created_us)
FROM fleets GROUP BY account_sid;

ALTER TABLE fleets ADD COLUMN network_access_profile_sid TEXT REFERENCES access_profiles (sid);
ALTER TABLE fleets ADD COLUMN data_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE fleets ADD COLUMN data_limit INTEGER NOT NULL DEFAULT 1000;
ALTER TABLE fleets ADD COLUMN sms_commands_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE fleets ADD COLUMN sms_commands_url TEXT;
ALTER TABLE fleets ADD COLUMN sms_commands_credentials TEXT;
ALTER TABLE fleets ADD COLUMN sms_commands_warnings TEXT NOT NULL DEFAULT '[]';
ALTER TABLE fleets ADD COLUMN sms_commands_method TEXT NOT NULL DEFAULT 'POST';
ALTER TABLE fleets ADD COLUMN ip_commands_url TEXT;
ALTER TABLE fleets ADD COLUMN ip_commands_credentials TEXT;
ALTER TABLE fleets ADD COLUMN ip_commands_warnings TEXT NOT NULL DEFAULT '[]';
ALTER TABLE fleets ADD COLUMN ip_commands_method TEXT NOT NULL DEFAULT 'POST';
UPDATE fleets SET network_access_profile_sid =
    (SELECT sid FROM access_profiles WHERE access_profiles.account_sid = fleets.account_sid);
CREATE INDEX fleets_of_account ON fleets (account_sid, seq);
CREATE INDEX fleets_by_profile ON fleets (account_sid, network_access_profile_sid, seq);

ALTER TABLE sims ADD COLUMN device_ip TEXT;
ALTER TABLE sims ADD COLUMN ready_since_us INTEGER;
ALTER TABLE sims ADD COLUMN sms_while_ready INTEGER NOT NULL DEFAULT 0;
UPDATE sims SET device_ip = device_ip_of(iccid);
UPDATE sims SET ready_since_us = updated_us
WHERE status = 'ready' OR sid IN (SELECT sim_sid FROM sim_updates WHERE from_status = 'ready');
CREATE UNIQUE INDEX sims_by_device_ip ON sims (device_ip);
CREATE INDEX sims_by_fleet_and_status ON sims (account_sid, fleet_sid, status, seq);

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
    updated_us INTEGER NOT NULL
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
    updated_us INTEGER NOT NULL
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
    updated_us INTEGER NOT NULL
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

-- A session uses a fixed number of bytes per hour, so nothing is written between start and end.
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
    ended_us INTEGER
) STRICT;
CREATE INDEX data_sessions_of_account ON data_sessions (account_sid, seq);
CREATE INDEX data_sessions_by_fleet ON data_sessions (fleet_sid, seq);
CREATE INDEX data_sessions_by_sim ON data_sessions (sim_sid, seq);

CREATE TABLE scenarios (
    subject_sid TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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

INSERT INTO tasks (subject_sid, step, account_sid, due_us)
SELECT sim_sid, 'update_sim', account_sid, due_us FROM sim_updates ORDER BY due_us;

-- Connected SIMs get their first Billing Period now, or after the change that is under way. SIMs
-- that are ready become active after three months.
INSERT INTO tasks (subject_sid, step, account_sid, due_us)
SELECT sid, 'renew_period', account_sid, updated_us FROM sims WHERE status IN ('ready', 'active');
INSERT INTO tasks (subject_sid, step, account_sid, due_us)
SELECT sim_sid, 'renew_period', account_sid, due_us FROM sim_updates
WHERE from_status IN ('ready', 'active') ORDER BY due_us;
INSERT INTO tasks (subject_sid, step, account_sid, due_us)
SELECT sid, 'activate_sim', account_sid, updated_us + 7776000000000 FROM sims
WHERE status = 'ready';

DROP INDEX sim_updates_due;
ALTER TABLE sim_updates DROP COLUMN due_us;
