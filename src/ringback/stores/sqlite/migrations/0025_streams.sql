-- Event streams: where events go, who gets which, and the events themselves, once for all.

CREATE TABLE stream_sinks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    source TEXT NOT NULL,
    description TEXT NOT NULL,
    sink_type TEXT NOT NULL,
    url TEXT NOT NULL,
    url_credentials TEXT,
    url_warnings TEXT NOT NULL,
    method TEXT NOT NULL,
    has_batches INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    status TEXT NOT NULL,
    test_id TEXT,
    test_sid TEXT,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX stream_sinks_of_account ON stream_sinks (account_sid, seq);

CREATE TABLE stream_subscriptions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    sink_sid TEXT NOT NULL,
    source TEXT NOT NULL,
    description TEXT NOT NULL,
    types TEXT NOT NULL,
    is_enabled INTEGER NOT NULL,
    product_group TEXT,
    notes TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    created_by TEXT
) STRICT;
CREATE INDEX stream_subscriptions_of_account ON stream_subscriptions (account_sid, seq);
CREATE INDEX stream_subscriptions_of_sink ON stream_subscriptions (account_sid, sink_sid, seq);

CREATE TABLE stream_events (
    id INTEGER PRIMARY KEY,
    sid TEXT NOT NULL UNIQUE,
    account_sid TEXT NOT NULL,
    sim_sid TEXT NOT NULL,
    type INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX stream_events_of_account ON stream_events (account_sid, id);
CREATE INDEX stream_events_of_sim ON stream_events (sim_sid, id);
CREATE INDEX stream_events_by_date ON stream_events (created_us);

CREATE TABLE stream_pending (
    subscription_sid TEXT NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (subscription_sid, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stream_pending_by_event ON stream_pending (event_id);

CREATE TABLE stream_batches (
    callback_sid TEXT PRIMARY KEY,
    first_event_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX stream_batches_by_event ON stream_batches (first_event_id, callback_sid);

ALTER TABLE callback_targets ADD COLUMN stream_sid TEXT;

-- What event streams have got of a session; `reported_until_us` is null if they don't follow it.
ALTER TABLE data_sessions ADD COLUMN reported_until_us INTEGER;
ALTER TABLE data_sessions ADD COLUMN reported_upload INTEGER NOT NULL DEFAULT 0;
ALTER TABLE data_sessions ADD COLUMN reported_download INTEGER NOT NULL DEFAULT 0;
CREATE INDEX data_sessions_followed ON data_sessions (sim_sid, seq)
WHERE reported_until_us IS NOT NULL;
