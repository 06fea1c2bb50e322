-- What was counted of callbacks: accepted ones, attempts and so on, for a minute (`span_s` is 60), an
-- hour (3600) or a day (86400), of one lane and one source. A number is NULL if it is 0. Processes only
-- add rows, so a span can have several of them. `is_summed` is 1 if the row was also added to a row of
-- the next longer span.
--
-- `failures` has the failed attempts by reason, in JSON. `attempt_time_0` to `attempt_time_12` count
-- the attempts that took up to 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 and 15 s, and the
-- longer ones; `delivery_time_0` to `delivery_time_12` count the deliveries that took, since the creation
-- of the callback, up to 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30, 300, 3600, 21600 and 86400 s, and the
-- longer ones.

CREATE TABLE counters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    span_s INTEGER NOT NULL,
    began_us INTEGER NOT NULL,
    lane_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    is_summed INTEGER NOT NULL,
    accepted INTEGER,
    attempts INTEGER,
    retried INTEGER,
    delivered INTEGER,
    failed INTEGER,
    discarded INTEGER,
    replayed INTEGER,
    attempt_time_0 INTEGER,
    attempt_time_1 INTEGER,
    attempt_time_2 INTEGER,
    attempt_time_3 INTEGER,
    attempt_time_4 INTEGER,
    attempt_time_5 INTEGER,
    attempt_time_6 INTEGER,
    attempt_time_7 INTEGER,
    attempt_time_8 INTEGER,
    attempt_time_9 INTEGER,
    attempt_time_10 INTEGER,
    attempt_time_11 INTEGER,
    attempt_time_12 INTEGER,
    delivery_time_0 INTEGER,
    delivery_time_1 INTEGER,
    delivery_time_2 INTEGER,
    delivery_time_3 INTEGER,
    delivery_time_4 INTEGER,
    delivery_time_5 INTEGER,
    delivery_time_6 INTEGER,
    delivery_time_7 INTEGER,
    delivery_time_8 INTEGER,
    delivery_time_9 INTEGER,
    delivery_time_10 INTEGER,
    delivery_time_11 INTEGER,
    delivery_time_12 INTEGER,
    failures TEXT
) STRICT;
CREATE INDEX counters_of_span ON counters (span_s, began_us);
CREATE INDEX counters_of_lane ON counters (lane_id, span_s, began_us);
CREATE INDEX counters_to_sum_up ON counters (span_s, lane_id, began_us, seq) WHERE NOT is_summed;
