-- Servers of schema 2 can go on.

-- Destinations: what is set for them, what has become of them, and callbacks that are sent in order;
-- see SQLite's schema 22.
CREATE TABLE destination_settings (
    sid text PRIMARY KEY,
    owner text NOT NULL,
    account_sid text NOT NULL,
    pattern text NOT NULL,
    settings text NOT NULL,
    secrets text,
    paused_us bigint,
    paused_until_us bigint,
    pause_reason text,
    resumed_us bigint,
    updated_us bigint NOT NULL,
    revision bigint NOT NULL,
    UNIQUE (owner, account_sid, pattern)
);
CREATE INDEX destination_settings_by_revision ON destination_settings (revision);

CREATE TABLE destination_states (
    lane_id bigint PRIMARY KEY,
    state text NOT NULL
);

CREATE TABLE order_heads (
    lane_id bigint NOT NULL,
    order_key text NOT NULL,
    callback_id bigint NOT NULL,
    last_place bigint NOT NULL,
    PRIMARY KEY (lane_id, order_key)
);

ALTER TABLE waiting ADD COLUMN order_key text;
ALTER TABLE waiting ADD COLUMN order_place bigint;
ALTER TABLE waiting ADD COLUMN own_due_us bigint;

ALTER TABLE installation ADD COLUMN destinations_revision bigint NOT NULL DEFAULT 0;

-- Outside a transaction:
CREATE INDEX CONCURRENTLY waiting_in_order ON waiting (lane_id, order_key, order_place)
    WHERE order_key IS NOT NULL
