-- Distributes dlrloop's tables over the workers of a Citus cluster, by their slot: `dlrloop migrate --distribute` runs it on the
-- coordinator after the schema. It may be run again: what is distributed already stays as it is.
--
-- It has been run against stand-ins for Citus' functions only, not on a Citus cluster: try it on one of yours first.
--
-- The tables are colocated, so that a transaction of one slot stays on one worker. goose's tables stay local to the
-- coordinator: the schema is changed there.

SELECT create_distributed_table('batch', 'slot', shard_count => (SELECT slots FROM meta), colocate_with => 'none')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'batch'::regclass);

SELECT create_distributed_table('recipient', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'recipient'::regclass);

SELECT create_distributed_table('report_log', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'report_log'::regclass);

SELECT create_distributed_table('minute_count', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'minute_count'::regclass);

SELECT create_distributed_table('total', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'total'::regclass);

SELECT create_distributed_table('message_total', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'message_total'::regclass);

SELECT create_distributed_table('quarantine', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'quarantine'::regclass);

SELECT create_reference_table('meta')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'meta'::regclass);

SELECT create_reference_table('replica')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'replica'::regclass);

SELECT create_reference_table('duty')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'duty'::regclass);

SELECT create_reference_table('copy_mark')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'copy_mark'::regclass);
