-- What failed, stored after a point, in the order they were stored.
SELECT
    envelope_id, envelope_type, service, service_version, channel, outcome, error_type,
    toUnixTimestamp64Micro(started) / 1e3 AS started_ms, duration_ms, lag_ms, attempt, redelivered,
    trace_id, span_id, operation, toUnixTimestamp64Micro(inserted) AS stored
FROM deliveries
WHERE outcome = 'error'
    AND inserted >= fromUnixTimestamp64Micro({stored:Int64}, 'UTC')
    AND inserted <= now64(6) - toIntervalMillisecond({hold_back_ms:UInt32})
    AND (inserted, concat(envelope_id, span_id)) > (fromUnixTimestamp64Micro({stored:Int64}, 'UTC'), {id:String})
ORDER BY inserted, concat(envelope_id, span_id)
LIMIT {limit:UInt32}
