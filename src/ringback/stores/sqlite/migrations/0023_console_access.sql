-- Who may see the console: the sessions of those who have signed in, and links to one page.

CREATE TABLE console_sessions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    token_hash TEXT NOT NULL UNIQUE,
    credential TEXT NOT NULL,
    proof TEXT NOT NULL,
    address TEXT,
    created_us INTEGER NOT NULL,
    last_used_us INTEGER NOT NULL
) STRICT;
CREATE INDEX console_sessions_of_credential ON console_sessions (credential);
CREATE INDEX console_sessions_by_use ON console_sessions (last_used_us);

CREATE TABLE shared_links (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    note TEXT,
    token_hash TEXT NOT NULL UNIQUE,
    created_by TEXT,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    ended_us INTEGER,
    last_used_us INTEGER,
    uses INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX shared_links_of_account ON shared_links (account_sid, seq);
CREATE INDEX shared_links_by_expiry ON shared_links (expires_us);
