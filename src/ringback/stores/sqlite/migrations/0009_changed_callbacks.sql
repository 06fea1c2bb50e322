-- What waits and was changed since its creation: retries, above all. Where the clock was ahead when
-- that was written, and is right again, it is found by this. What waits for the first time, as it was
-- created, is not in it.

CREATE INDEX callbacks_changed ON callbacks (updated_us)
    WHERE due_us IS NOT NULL AND updated_us <> created_us;
