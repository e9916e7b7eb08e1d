-- Of the tables that a push reads, those whose rows do not keep the number of the insert that they
-- came in, nor their place in it.
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND name IN ('otel_logs', 'otel_traces')
    AND create_table_query NOT LIKE '%enable_block_offset_column = 1%'
ORDER BY name
