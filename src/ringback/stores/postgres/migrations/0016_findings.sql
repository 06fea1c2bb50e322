-- Servers of schema 2 can go on.

-- What shows other processes of the same machine that a process lives; see `life_lock.py`.
ALTER TABLE workers ADD COLUMN life text;

-- Entries of sign-ins and sign-outs go earlier than those of changes.
CREATE INDEX audit_of_sign_ins ON audit (created_us) WHERE action IN ('SignIn', 'SignOut');
