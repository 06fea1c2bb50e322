-- Servers of schema 2 can go on.

-- Who changed what, and the role, end and last use of API keys; see SQLite's schema 14.

CREATE TABLE audit (
    seq bigint PRIMARY KEY,
    created_us bigint NOT NULL,
    account_sid text,
    actor_kind text NOT NULL,
    actor text,
    actor_name text,
    address text,
    action text NOT NULL,
    subject text NOT NULL,
    before text,
    after text
);
CREATE INDEX audit_of_account ON audit (account_sid, seq);
CREATE INDEX audit_of_subject ON audit (subject, seq);
CREATE INDEX audit_of_actor ON audit (actor, seq);
CREATE INDEX audit_by_time ON audit (created_us);

ALTER TABLE api_keys ADD COLUMN role text NOT NULL DEFAULT 'full';
ALTER TABLE api_keys ADD COLUMN ended_us bigint;
ALTER TABLE api_keys ADD COLUMN last_used_us bigint;
