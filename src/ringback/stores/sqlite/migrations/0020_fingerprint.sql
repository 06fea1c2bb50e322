-- The fingerprint of these data: made once, and copied with them. A plan of `ringback migrate` is bound
-- to it.

ALTER TABLE installation ADD COLUMN fingerprint TEXT;
INSERT INTO installation (number, fingerprint) VALUES (1, lower(hex(randomblob(16))))
ON CONFLICT (number) DO UPDATE SET fingerprint = excluded.fingerprint;
