-- What only has to be recognised is hashed here; what has to be read again is sealed right after all
-- migrations, and the rows that it stood in are written over.

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

-- What signs the tokens of API clients; one row at the most.
CREATE TABLE token_keys (id TEXT PRIMARY KEY, private_key TEXT NOT NULL) STRICT;

-- With which key all that is sealed was sealed, and whether what stood there before is written over;
-- no row before the first time.
CREATE TABLE sealed_with (key_id TEXT PRIMARY KEY, is_wiped INTEGER NOT NULL) STRICT;

-- A test event is JSON and is sent for one round alone; a rehearsal is signed with another secret
-- than the active one.
ALTER TABLE callbacks ADD COLUMN is_test INTEGER NOT NULL DEFAULT 0;
ALTER TABLE callbacks ADD COLUMN secret_id TEXT;
