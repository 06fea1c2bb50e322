-- The copies (`ringback db copy`) that this data was made by or copied with, at most one of each role:
-- `target` if it was filled by a copy, `source` if it was copied to another place. `copy_id` is the same
-- in both places. `ended_us` is NULL until all is there. `tables` and `after` say how far a copy to here
-- has come: the number of complete tables, and the key of the last row of the next one.

CREATE TABLE data_copies (
    role TEXT PRIMARY KEY,
    copy_id TEXT NOT NULL,
    other TEXT NOT NULL,
    began_us INTEGER NOT NULL,
    ended_us INTEGER,
    tables INTEGER NOT NULL DEFAULT 0,
    after TEXT NOT NULL DEFAULT '[]'
) STRICT;
