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
