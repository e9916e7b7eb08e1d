-- The newest envelopes whose id begins with one of these spellings of a prefix, and in how many
-- traces all such envelopes stand.
SELECT
    id, type, toUnixTimestamp64Micro(ts) / 1e3 AS timestamp, source_name, source_version, trace_id,
    uniqExact(trace_id) OVER () AS traces
FROM
(
    SELECT id, type, ts, source_name, source_version, trace_id
    FROM envelopes
    WHERE startsWith(id, {first:String}) OR startsWith(id, {second:String})
    ORDER BY version DESC, ts
    LIMIT 1 BY id
)
ORDER BY ts DESC, id
LIMIT {limit:UInt32}
SETTINGS min_table_rows_to_use_projection_index = 0
