-- One envelope with everything known of it.
SELECT
    id, type, kind, kind_inferred, toUnixTimestamp64Micro(ts) / 1e3 AS timestamp,
    source_name, source_version, parent_id, parent_inferred, parent_type, parent_source,
    parent_lag_ms, channel, cause_span_id, trace_id, span_id, service, body
FROM envelopes
WHERE id = {id:String}
ORDER BY version DESC, ts
LIMIT 1
SETTINGS min_table_rows_to_use_projection_index = 0
