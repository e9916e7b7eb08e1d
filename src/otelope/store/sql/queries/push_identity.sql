-- What tells this database from all others, also from one that had its name before.
SELECT toString(uuid), create_table_query LIKE '% TTL %'
FROM system.tables
WHERE database = currentDatabase() AND name = 'otel_logs'
