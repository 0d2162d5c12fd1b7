-- Stand-ins for the functions and tables of Citus that dlrloop uses. They let its statements run, but distribute
-- nothing.
CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY, distributed_by text, colocated_with regclass);

CREATE FUNCTION create_distributed_table(tab regclass, col text, shard_count int DEFAULT NULL, colocate_with text DEFAULT 'default')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (shard_count IS NULL) = (colocate_with = 'none') THEN
        RAISE 'shard_count must be given exactly once: for the table with which the others are colocated';
    END IF;
    INSERT INTO pg_dist_partition VALUES (tab, col, nullif(colocate_with, 'none')::regclass);
END $$;

CREATE FUNCTION create_reference_table(tab regclass) RETURNS void LANGUAGE sql
AS $$ INSERT INTO pg_dist_partition VALUES (tab, NULL, NULL) $$;

CREATE FUNCTION citus_total_relation_size(tab regclass) RETURNS bigint LANGUAGE sql
AS $$ SELECT pg_total_relation_size(tab) $$;
