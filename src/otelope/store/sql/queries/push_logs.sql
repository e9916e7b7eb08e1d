-- The log records between two places, columns as in the insert. Their times are given too: by them
-- the key of the table finds the rows.
SELECT
    Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body,
    ResourceSchemaUrl, ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion,
    ScopeAttributes, LogAttributes, EventName
FROM otel_logs
WHERE _block_number BETWEEN {number:UInt64} AND {end_number:UInt64}
    AND Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({until:Int64}, 'UTC')
    AND (_block_number, _block_offset) >= ({number:UInt64}, {offset:UInt64})
    AND (_block_number, _block_offset) < ({end_number:UInt64}, {end_offset:UInt64})
ORDER BY _block_number, _block_offset
