-- The columns of the database's tables as they are.
SELECT table, name, type, default_kind, default_expression
FROM system.columns
WHERE database = currentDatabase()
ORDER BY table, position
