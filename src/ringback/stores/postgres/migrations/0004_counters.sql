-- Servers of schema 2 can go on.

-- What was counted of callbacks; see SQLite's schema 15.

CREATE TABLE counters (
    seq bigint PRIMARY KEY,
    span_s bigint NOT NULL,
    began_us bigint NOT NULL,
    lane_id bigint NOT NULL,
    source text NOT NULL,
    is_summed boolean NOT NULL,
    accepted bigint,
    attempts bigint,
    retried bigint,
    delivered bigint,
    failed bigint,
    discarded bigint,
    replayed bigint,
    attempt_time_0 bigint,
    attempt_time_1 bigint,
    attempt_time_2 bigint,
    attempt_time_3 bigint,
    attempt_time_4 bigint,
    attempt_time_5 bigint,
    attempt_time_6 bigint,
    attempt_time_7 bigint,
    attempt_time_8 bigint,
    attempt_time_9 bigint,
    attempt_time_10 bigint,
    attempt_time_11 bigint,
    attempt_time_12 bigint,
    delivery_time_0 bigint,
    delivery_time_1 bigint,
    delivery_time_2 bigint,
    delivery_time_3 bigint,
    delivery_time_4 bigint,
    delivery_time_5 bigint,
    delivery_time_6 bigint,
    delivery_time_7 bigint,
    delivery_time_8 bigint,
    delivery_time_9 bigint,
    delivery_time_10 bigint,
    delivery_time_11 bigint,
    delivery_time_12 bigint,
    failures text
);
CREATE INDEX counters_of_span ON counters (span_s, began_us);
CREATE INDEX counters_of_lane ON counters (lane_id, span_s, began_us);
CREATE INDEX counters_to_sum_up ON counters (span_s, lane_id, began_us, seq) WHERE NOT is_summed;
