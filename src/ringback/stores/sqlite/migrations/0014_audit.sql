-- Who changed what. `before` and `after` are JSON objects of the changed fields, without secrets. Rows
-- never change. Keys that have ended stay, because these rows name them.

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    created_us INTEGER NOT NULL,
    account_sid TEXT,
    actor_kind TEXT NOT NULL,
    actor TEXT,
    actor_name TEXT,
    address TEXT,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;
CREATE INDEX audit_of_account ON audit (account_sid, seq);
CREATE INDEX audit_of_subject ON audit (subject, seq);
CREATE INDEX audit_of_actor ON audit (actor, seq);
CREATE INDEX audit_by_time ON audit (created_us);

ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'full';
ALTER TABLE api_keys ADD COLUMN ended_us INTEGER;
ALTER TABLE api_keys ADD COLUMN last_used_us INTEGER;
