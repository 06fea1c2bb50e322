-- What every list goes by, and what the engine asks of the sessions and Commands of a SIM.

-- A token is nearly always of one callback: no account has to stand in front of it.
DROP INDEX callbacks_by_token;
CREATE INDEX callbacks_by_token ON callbacks (idempotency_token);

-- A callback that is delivered never enters it.
CREATE INDEX callbacks_undelivered_of_all ON callbacks (seq)
    WHERE status IN ('failed', 'discarded');

CREATE INDEX data_sessions_ending ON data_sessions (sim_sid, ended_us);
CREATE INDEX wireless_sessions_ending ON wireless_sessions (sim_sid, ended_us);
CREATE INDEX commands_by_sim_and_status ON commands (account_sid, sim_sid, status, seq);
