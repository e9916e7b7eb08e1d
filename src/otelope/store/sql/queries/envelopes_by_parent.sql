-- What these envelopes caused directly, except in traces that are read already: leaving those
-- out saves reading the other columns of a chain's own rows. For a bare NOT IN every granule of
-- the primary key would be looked at (1.6 µs each: 16 ms in ten million rows); identity() hides it.
SELECT
    id, type, kind, kind_inferred, toUnixTimestamp64Micro(ts) / 1e3 AS timestamp,
    source_name, source_version, parent_id, parent_inferred, parent_lag_ms, channel,
    cause_span_id, trace_id, span_id, service, version
FROM envelopes
WHERE parent_id IN {ids:Array(String)} AND identity(trace_id) NOT IN {known:Array(String)}
ORDER BY version DESC, ts
LIMIT 1 BY id
LIMIT {limit:UInt32}
SETTINGS min_table_rows_to_use_projection_index = 0, max_threads = 1
