-- Servers of schema {before} can go on.

ALTER TABLE callbacks DROP COLUMN order_key;
DROP INDEX waiting_by_due;
