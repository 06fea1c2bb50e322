-- Big batches of new callbacks: durable as a whole by one commit, which only has to write texts, and
-- then added to the callbacks by small ones, so that no commit keeps others waiting for long.

CREATE TABLE batched_callbacks (
    number INTEGER PRIMARY KEY,
    callback TEXT NOT NULL
) STRICT;
