-- Servers of schema 2 can go on.

-- Whose request created a callback, message or order, or updated a SIM last; see SQLite's schema 19.

ALTER TABLE callback_targets ADD COLUMN created_by text;
ALTER TABLE sms_commands ADD COLUMN created_by text;
ALTER TABLE ip_commands ADD COLUMN created_by text;
ALTER TABLE esim_profiles ADD COLUMN created_by text;
ALTER TABLE commands ADD COLUMN created_by text;
ALTER TABLE sims ADD COLUMN update_asked_us bigint;
ALTER TABLE sims ADD COLUMN update_asked_by text;
ALTER TABLE wireless_sims ADD COLUMN update_asked_us bigint;
ALTER TABLE wireless_sims ADD COLUMN update_asked_by text;
