-- Destinations: what is set for them, what has become of them, and callbacks that are sent in order.

CREATE TABLE destination_settings (
    sid TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    account_sid TEXT NOT NULL,
    pattern TEXT NOT NULL,
    settings TEXT NOT NULL,
    secrets TEXT,
    paused_us INTEGER,
    paused_until_us INTEGER,
    pause_reason TEXT,
    resumed_us INTEGER,
    updated_us INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (owner, account_sid, pattern)
) STRICT;
CREATE INDEX destination_settings_by_revision ON destination_settings (revision);

CREATE TABLE destination_states (
    lane_id INTEGER PRIMARY KEY,
    state TEXT NOT NULL
) STRICT;

CREATE TABLE order_heads (
    lane_id INTEGER NOT NULL,
    order_key TEXT NOT NULL,
    callback_id INTEGER NOT NULL,
    last_place INTEGER NOT NULL,
    PRIMARY KEY (lane_id, order_key)
) STRICT, WITHOUT ROWID;

ALTER TABLE waiting ADD COLUMN order_key TEXT;
ALTER TABLE waiting ADD COLUMN order_place INTEGER;
ALTER TABLE waiting ADD COLUMN own_due_us INTEGER;
CREATE INDEX waiting_in_order ON waiting (lane_id, order_key, order_place)
    WHERE order_key IS NOT NULL;

ALTER TABLE installation ADD COLUMN destinations_revision INTEGER NOT NULL DEFAULT 0;
