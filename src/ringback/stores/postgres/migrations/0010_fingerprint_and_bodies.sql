-- Servers of schema 2 can go on.

-- The fingerprint of these data: made once, and copied with them; see SQLite's schema 20.

ALTER TABLE installation ADD COLUMN fingerprint text;
INSERT INTO installation (number, fingerprint) VALUES (1, replace(gen_random_uuid()::text, '-', ''))
ON CONFLICT (number) DO UPDATE SET fingerprint = excluded.fingerprint;

ALTER TABLE shadows ADD COLUMN body text;
