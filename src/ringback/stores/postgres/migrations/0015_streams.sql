-- Servers of schema 2 can go on.

-- Event streams: where events go, who gets which, and the events themselves, once for all; see
-- SQLite's schema 25.

CREATE TABLE stream_sinks (
    seq bigint PRIMARY KEY,
    sid text NOT NULL UNIQUE,
    account_sid text NOT NULL,
    source text NOT NULL,
    description text NOT NULL,
    sink_type text NOT NULL,
    url text NOT NULL,
    url_credentials text,
    url_warnings text NOT NULL,
    method text NOT NULL,
    has_batches boolean NOT NULL,
    configuration text NOT NULL,
    status text NOT NULL,
    test_id text,
    test_sid text,
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    created_by text
);
CREATE INDEX stream_sinks_of_account ON stream_sinks (account_sid, seq);

CREATE TABLE stream_subscriptions (
    seq bigint PRIMARY KEY,
    sid text NOT NULL UNIQUE,
    account_sid text NOT NULL,
    sink_sid text NOT NULL,
    source text NOT NULL,
    description text NOT NULL,
    types text NOT NULL,
    is_enabled boolean NOT NULL,
    product_group text,
    notes text NOT NULL,
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    created_by text
);
CREATE INDEX stream_subscriptions_of_account ON stream_subscriptions (account_sid, seq);
CREATE INDEX stream_subscriptions_of_sink ON stream_subscriptions (account_sid, sink_sid, seq);

CREATE TABLE stream_events (
    id bigint PRIMARY KEY,
    sid text NOT NULL UNIQUE,
    account_sid text NOT NULL,
    sim_sid text NOT NULL,
    type bigint NOT NULL,
    created_us bigint NOT NULL,
    data text NOT NULL
);
CREATE INDEX stream_events_of_account ON stream_events (account_sid, id);
CREATE INDEX stream_events_of_sim ON stream_events (sim_sid, id);
CREATE INDEX stream_events_by_date ON stream_events (created_us);

CREATE TABLE stream_pending (
    subscription_sid text NOT NULL,
    event_id bigint NOT NULL,
    PRIMARY KEY (subscription_sid, event_id)
);
CREATE INDEX stream_pending_by_event ON stream_pending (event_id);

CREATE TABLE stream_batches (
    callback_sid text PRIMARY KEY,
    first_event_id bigint NOT NULL
);
CREATE INDEX stream_batches_by_event ON stream_batches (first_event_id, callback_sid);

ALTER TABLE callback_targets ADD COLUMN stream_sid text;

-- What event streams have got of a session; `reported_until_us` is null if they don't follow it.
ALTER TABLE data_sessions ADD COLUMN reported_until_us bigint;
ALTER TABLE data_sessions ADD COLUMN reported_upload bigint NOT NULL DEFAULT 0;
ALTER TABLE data_sessions ADD COLUMN reported_download bigint NOT NULL DEFAULT 0;
CREATE INDEX data_sessions_followed ON data_sessions (sim_sid, seq)
WHERE reported_until_us IS NOT NULL;
