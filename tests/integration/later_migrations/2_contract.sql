-- Servers of schema {before} can go on.

ALTER TABLE callbacks DROP COLUMN unused;
DROP INDEX waiting_by_due;
