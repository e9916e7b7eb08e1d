-- Everything that was done with these envelopes.
SELECT
    envelope_id, service, service_version, channel, outcome, error_type,
    toUnixTimestamp64Micro(started) / 1e3 AS started_ms, duration_ms, lag_ms, attempt, redelivered,
    trace_id, span_id, operation
FROM deliveries
WHERE envelope_id IN {ids:Array(String)}
ORDER BY version DESC
LIMIT 1 BY envelope_id, trace_id, span_id, operation
SETTINGS min_table_rows_to_use_projection_index = 0, max_threads = 1
