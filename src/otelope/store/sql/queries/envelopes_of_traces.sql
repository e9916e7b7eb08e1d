-- The envelopes of whole traces.
SELECT
    id, type, kind, kind_inferred, toUnixTimestamp64Micro(ts) / 1e3 AS timestamp,
    source_name, source_version, parent_id, parent_inferred, parent_lag_ms, channel,
    cause_span_id, trace_id, span_id, service, version
FROM envelopes
WHERE trace_id IN {trace_ids:Array(String)}
ORDER BY version DESC, ts
LIMIT 1 BY id
LIMIT {limit:UInt32}
SETTINGS min_table_rows_to_use_projection_index = 0, max_threads = 1
