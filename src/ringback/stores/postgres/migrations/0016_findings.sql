-- Servers of schema 2 can go on.

-- What shows other processes of the same machine that a process lives; see `life_lock.py`.
ALTER TABLE workers ADD COLUMN life text;
