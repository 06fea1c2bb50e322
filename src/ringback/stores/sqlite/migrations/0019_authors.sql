-- Whose request created a callback, message or order: the SID of an API key or account, or the id of
-- an API client; NULL for the server itself, and for rows of earlier schemas. Of a SIM, the last update.

ALTER TABLE callback_targets ADD COLUMN created_by TEXT;
ALTER TABLE sms_commands ADD COLUMN created_by TEXT;
ALTER TABLE ip_commands ADD COLUMN created_by TEXT;
ALTER TABLE esim_profiles ADD COLUMN created_by TEXT;
ALTER TABLE commands ADD COLUMN created_by TEXT;
ALTER TABLE sims ADD COLUMN update_asked_us INTEGER;
ALTER TABLE sims ADD COLUMN update_asked_by TEXT;
ALTER TABLE wireless_sims ADD COLUMN update_asked_us INTEGER;
ALTER TABLE wireless_sims ADD COLUMN update_asked_by TEXT;
