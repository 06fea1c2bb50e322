-- Secrets that only have to be compared are hashed here. Secrets that must stay readable are
-- encrypted right after all migrations, and their plain text is wiped from the file.

ALTER TABLE accounts ADD COLUMN kore_id TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN secondary_auth_token TEXT;
ALTER TABLE accounts ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
ALTER TABLE accounts ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET kore_id = id_of_account(sid, created_us);
CREATE UNIQUE INDEX accounts_by_kore_id ON accounts (kore_id);
CREATE INDEX accounts_of_parent ON accounts (parent_sid);

CREATE TABLE webhook_secrets (
    id TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL REFERENCES accounts (sid),
    status TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    modified_us INTEGER NOT NULL,
    UNIQUE (account_sid, status)
) STRICT;
INSERT INTO webhook_secrets
    SELECT id_of_secret(sid, created_us), sid, 'active', 'first', kore_secret, created_us
    FROM accounts WHERE kore_secret != '';
ALTER TABLE accounts DROP COLUMN kore_secret;

CREATE TABLE new_keys (
    sid TEXT PRIMARY KEY,
    account_sid TEXT REFERENCES accounts (sid),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;
INSERT INTO new_keys
    SELECT api_keys.sid, account_sid, 'first', hash_secret(secret), created_us
    FROM api_keys JOIN accounts ON accounts.sid = account_sid ORDER BY api_keys.rowid;
DROP TABLE api_keys;
ALTER TABLE new_keys RENAME TO api_keys;
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

-- The key that signs the tokens of API clients; at most one row.
CREATE TABLE token_keys (id TEXT PRIMARY KEY, private_key TEXT NOT NULL) STRICT;

-- The id of the key that all secrets are encrypted with, and whether their earlier form has been
-- wiped from the file; no row while secrets are plain text.
CREATE TABLE sealed_with (key_id TEXT PRIMARY KEY, is_wiped INTEGER NOT NULL) STRICT;

-- A test event (is_test) is JSON and is sent for one round only. A rehearsal is signed with another
-- secret (secret_id) than the active one.
ALTER TABLE callbacks ADD COLUMN is_test INTEGER NOT NULL DEFAULT 0;
ALTER TABLE callbacks ADD COLUMN secret_id TEXT;
