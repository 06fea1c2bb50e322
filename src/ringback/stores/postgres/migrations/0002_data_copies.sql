-- Servers of schema 1 can go on.

-- Which servers can use a schema, and whether its indexes are there; see `schema.py`.
ALTER TABLE schema_versions ADD COLUMN oldest_server bigint;
ALTER TABLE schema_versions ADD COLUMN is_finished boolean NOT NULL DEFAULT true;

-- The copies (`ringback db copy`) that this data was made by or copied with; see SQLite's schema 13.

CREATE TABLE data_copies (
    role text PRIMARY KEY,
    copy_id text NOT NULL,
    other text NOT NULL,
    began_us bigint NOT NULL,
    ended_us bigint,
    tables bigint NOT NULL DEFAULT 0,
    after text NOT NULL DEFAULT '[]'
);

-- Data that is being copied or was copied refuses all changes, also those of a process that was frozen
-- when the copy began. Only the copy itself sets `ringback.copying`.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('ringback.copying', true) IS DISTINCT FROM 'on' THEN
        RAISE read_only_sql_transaction
            USING MESSAGE = '`ringback db copy` copies or has copied the data of this database';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION fence_data() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND relname NOT IN ('schema_versions', 'data_copies')
        ORDER BY relname
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name
        );
    END LOOP;
END $$;

CREATE FUNCTION unfence_data() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE tgname = 'fence' AND relnamespace = current_schema()::regnamespace
        ORDER BY relname
    LOOP
        EXECUTE format('DROP TRIGGER fence ON %I', name);
    END LOOP;
END $$;
