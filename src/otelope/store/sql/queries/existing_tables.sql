-- The tables and views of the database as they are.
SELECT name, engine, engine_full, sorting_key, as_select, create_table_query
FROM system.tables
WHERE database = currentDatabase()
ORDER BY name
