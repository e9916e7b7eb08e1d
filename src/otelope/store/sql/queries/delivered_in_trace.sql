-- The envelopes that were handled in a trace, whose own trace may be another.
SELECT DISTINCT envelope_id
FROM deliveries
WHERE trace_id = {trace_id:String}
ORDER BY envelope_id
LIMIT {limit:UInt32}
SETTINGS min_table_rows_to_use_projection_index = 0
