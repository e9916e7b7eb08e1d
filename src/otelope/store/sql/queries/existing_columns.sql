-- The columns of the database's tables as they are.
SELECT table, name, type
FROM system.columns
WHERE database = currentDatabase()
ORDER BY table, position
