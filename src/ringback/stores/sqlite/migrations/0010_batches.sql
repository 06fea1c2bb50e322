-- Big batches of new callbacks. One commit makes a batch durable, since it only writes texts; small
-- commits then add its callbacks, so that no commit keeps others waiting for long.

CREATE TABLE batched_callbacks (
    number INTEGER PRIMARY KEY,
    callback TEXT NOT NULL
) STRICT;
