-- The envelopes stored after a point, in the order they were stored.
SELECT
    id, type, kind, kind_inferred, toUnixTimestamp64Micro(ts) / 1e3 AS timestamp,
    source_name, source_version, parent_id, parent_inferred, parent_lag_ms, channel,
    cause_span_id, trace_id, span_id, service, toUnixTimestamp64Micro(inserted) AS stored
FROM envelopes
WHERE inserted >= fromUnixTimestamp64Micro({stored:Int64}, 'UTC')
    AND inserted <= now64(6) - toIntervalMillisecond({hold_back_ms:UInt32})
    AND (inserted, id) > (fromUnixTimestamp64Micro({stored:Int64}, 'UTC'), {id:String})
ORDER BY inserted, id
LIMIT {limit:UInt32}
