-- The fingerprint of these data: made once, and copied with them. A plan of `ringback migrate` is bound
-- to it.

ALTER TABLE installation ADD COLUMN fingerprint TEXT;
INSERT INTO installation (number, fingerprint) VALUES (1, lower(hex(randomblob(16))))
ON CONFLICT (number) DO UPDATE SET fingerprint = excluded.fingerprint;

-- The body of a copy whose source encodes it in another way; NULL if it is that of its callback.

ALTER TABLE shadows ADD COLUMN body TEXT;
