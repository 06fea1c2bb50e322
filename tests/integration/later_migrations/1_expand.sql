-- Servers of schema {before} can go on.

ALTER TABLE callbacks ADD COLUMN country text;
ALTER TABLE accounts ADD COLUMN country text;

-- Outside a transaction:

CREATE INDEX CONCURRENTLY callbacks_by_country ON callbacks (country, id);
CREATE INDEX CONCURRENTLY waiting_by_due ON waiting (due_us);
