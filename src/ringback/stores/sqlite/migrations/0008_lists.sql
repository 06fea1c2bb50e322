-- Indexes for all lists, and for the engine's queries about a SIM's sessions and Commands.

-- A token nearly always belongs to one callback, so the index need not begin with the account.
DROP INDEX callbacks_by_token;
CREATE INDEX callbacks_by_token ON callbacks (idempotency_token);

-- Delivered callbacks are never in this index.
CREATE INDEX callbacks_undelivered_of_all ON callbacks (seq)
    WHERE status IN ('failed', 'discarded');

CREATE INDEX data_sessions_ending ON data_sessions (sim_sid, ended_us);
CREATE INDEX wireless_sessions_ending ON wireless_sessions (sim_sid, ended_us);
CREATE INDEX commands_by_sim_and_status ON commands (account_sid, sim_sid, status, seq);
