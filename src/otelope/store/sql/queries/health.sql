-- How many rows each table holds; duplicates that wait for a merge included. On a cluster: those
-- of the server that is asked.
SELECT name, ifNull(total_rows, 0) AS row_count, ifNull(total_bytes, 0) AS bytes
FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
ORDER BY name
