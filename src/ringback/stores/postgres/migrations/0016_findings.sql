-- Servers of schema 2 can go on.

-- What shows other processes of the same machine that a process lives; see `life_lock.py`.
ALTER TABLE workers ADD COLUMN life text;

-- Entries of sign-ins and sign-outs go earlier than those of changes.
CREATE INDEX audit_of_sign_ins ON audit (created_us) WHERE action IN ('SignIn', 'SignOut');

-- The session that holds the lock with this key, and when its server was started, or -infinity
-- once it has ended and the process's shards were freed; see `lease_sessions.py`.
ALTER TABLE workers ADD COLUMN session bigint, ADD COLUMN session_server timestamptz;

-- Each commit of a process adds its mark, by which its end is known if its answer was lost; see
-- `group_commit.py`. The mark of one that was not committed is lost: it can't be committed any more.
CREATE TABLE commit_marks (
    committer bigint NOT NULL,
    number bigint NOT NULL,
    is_lost boolean NOT NULL DEFAULT false,
    made timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (committer, number)
);
