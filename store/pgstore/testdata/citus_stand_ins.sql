-- What dlrloop asks of Citus, on a PostgreSQL without it: enough to run its statements, not to distribute anything.
CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY, distributed_by text, colocated_with regclass);

CREATE FUNCTION create_distributed_table(tab regclass, col text, shard_count int DEFAULT NULL, colocate_with text DEFAULT 'default')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (shard_count IS NULL) = (colocate_with = 'none') THEN
        RAISE 'the number of shards is asked for once, of the table that the others are colocated with';
    END IF;
    INSERT INTO pg_dist_partition VALUES (tab, col, nullif(colocate_with, 'none')::regclass);
END $$;

CREATE FUNCTION create_reference_table(tab regclass) RETURNS void LANGUAGE sql
AS $$ INSERT INTO pg_dist_partition VALUES (tab, NULL, NULL) $$;

CREATE FUNCTION citus_total_relation_size(tab regclass) RETURNS bigint LANGUAGE sql
AS $$ SELECT pg_total_relation_size(tab) $$;
