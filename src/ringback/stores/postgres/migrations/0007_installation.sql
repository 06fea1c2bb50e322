-- Servers of schema 2 can go on.

-- What is known about these data as a whole; see SQLite's schema 18. `written_in` names the database in
-- which the data was last found, by the identifier of its cluster and its own number there.

CREATE TABLE installation (
    number bigint PRIMARY KEY CHECK (number = 1),
    written_in text,
    paused_us bigint,
    paused_reason text
);

CREATE FUNCTION own_place() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT system_identifier || '/' || oid FROM pg_control_system(), pg_database
    WHERE datname = current_database()
$$;
