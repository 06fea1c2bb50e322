-- Servers of schema {before} can go on.

-- `unused` is for the contract step: the real tables have no column that no version uses.
ALTER TABLE callbacks ADD COLUMN unused text;
ALTER TABLE callbacks ADD COLUMN country text;
ALTER TABLE accounts ADD COLUMN country text;

-- Outside a transaction:

CREATE INDEX CONCURRENTLY callbacks_by_country ON callbacks (country, id);
CREATE INDEX CONCURRENTLY waiting_by_due ON waiting (due_us);
