-- In which traces these envelopes stand.
SELECT id, trace_id
FROM envelopes
WHERE id IN {ids:Array(String)}
SETTINGS min_table_rows_to_use_projection_index = 0, max_threads = 1
