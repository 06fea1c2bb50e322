-- What is known about these data as a whole; at most one row. While `paused_us` is set, servers send
-- nothing. `written_in` is only for PostgreSQL: the database in which the data was last found.

CREATE TABLE installation (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    written_in TEXT,
    paused_us INTEGER,
    paused_reason TEXT
) STRICT;
