-- An index of waiting callbacks that were changed since their creation (retries, above all) or were
-- due at once. It finds callbacks that were written while the clock was ahead, once the clock is
-- right again. Callbacks that were created with a later due time, and not changed, are not in it.

CREATE INDEX callbacks_changed ON callbacks (updated_us)
    WHERE due_us IS NOT NULL AND (updated_us <> created_us OR due_us = created_us);
