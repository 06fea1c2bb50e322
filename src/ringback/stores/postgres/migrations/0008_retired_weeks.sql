-- Servers of schema 2 can go on.

-- While a week of old callbacks is copied without those that have expired, triggers on its partitions
-- note here which callbacks others change meanwhile; see `retired_weeks.py`.

CREATE TABLE retirement_changes (id bigint NOT NULL);

-- Its argument is the column with the callback's id.
CREATE FUNCTION note_retirement_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO retirement_changes VALUES ((to_jsonb(coalesce(new, old)) ->> TG_ARGV[0])::bigint);
    RETURN NULL;
END $$;
