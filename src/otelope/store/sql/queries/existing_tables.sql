-- The tables and views of the database as they are.
SELECT name, engine, sorting_key, comment, create_table_query
FROM system.tables
WHERE database = currentDatabase()
ORDER BY name
