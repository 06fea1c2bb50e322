-- Servers of schema 2 can go on.

-- Who may see the console: the sessions of those who have signed in, and links to one page; see
-- SQLite's schema 23.
CREATE TABLE console_sessions (
    seq bigint PRIMARY KEY,
    sid text NOT NULL UNIQUE,
    token_hash text NOT NULL UNIQUE,
    credential text NOT NULL,
    proof text NOT NULL,
    address text,
    created_us bigint NOT NULL,
    last_used_us bigint NOT NULL
);
CREATE INDEX console_sessions_of_credential ON console_sessions (credential);
CREATE INDEX console_sessions_by_use ON console_sessions (last_used_us);

CREATE TABLE shared_links (
    seq bigint PRIMARY KEY,
    sid text NOT NULL UNIQUE,
    account_sid text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    note text,
    token_hash text NOT NULL UNIQUE,
    created_by text,
    created_us bigint NOT NULL,
    expires_us bigint NOT NULL,
    ended_us bigint,
    last_used_us bigint,
    uses bigint NOT NULL DEFAULT 0
);
CREATE INDEX shared_links_of_account ON shared_links (account_sid, seq);
CREATE INDEX shared_links_by_expiry ON shared_links (expires_us);
