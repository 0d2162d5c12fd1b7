-- Distributes dlrloop's tables over the workers of a Citus cluster, by slot. `dlrloop migrate --distribute` runs this
-- script on the coordinator after creating the schema. It may be run again: it skips tables that are already
-- distributed.
--
-- The script was tested with stand-ins for the functions of Citus, not on a Citus cluster: try it on a test cluster
-- first.
--
-- The tables are colocated, so that a transaction in one slot stays on one worker. The tables of goose stay local to
-- the coordinator, because migrations run there.

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

SELECT create_distributed_table('inbound', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'inbound'::regclass);

SELECT create_distributed_table('event_log', 'slot', colocate_with => 'batch')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'event_log'::regclass);

SELECT create_reference_table('meta')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'meta'::regclass);

SELECT create_reference_table('replica')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'replica'::regclass);

SELECT create_reference_table('duty')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'duty'::regclass);

SELECT create_reference_table('copy_mark')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'copy_mark'::regclass);

SELECT create_reference_table('event_stream')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'event_stream'::regclass);

SELECT create_reference_table('destination')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'destination'::regclass);

SELECT create_reference_table('deferred_event')
WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = 'deferred_event'::regclass);
