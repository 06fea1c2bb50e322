-- What waits and was changed since its creation, or was to go at once: retries, above all. Where the
-- clock was ahead when that was written, and is right again, it is found by this. What its customer
-- has put off, and waits as it was created, is not in it.

CREATE INDEX callbacks_changed ON callbacks (updated_us)
    WHERE due_us IS NOT NULL AND (updated_us <> created_us OR due_us = created_us);
