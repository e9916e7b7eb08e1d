-- The log records between two places, as they came: where each stands, its size, a number that
-- tells it from others, and by what it can be found.
SELECT
    _block_number, _block_offset,
    byteSize(
        Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body,
        ResourceSchemaUrl, ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion,
        ScopeAttributes, LogAttributes, EventName
    ),
    toString(cityHash64(
        Timestamp, TraceId, SpanId, ServiceName, Body, ResourceAttributes, LogAttributes, EventName
    )),
    toString(toUnixTimestamp64Nano(Timestamp))
FROM otel_logs
WHERE _block_number BETWEEN {number:UInt64} AND {end_number:UInt64}
    AND Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
    AND Timestamp <= fromUnixTimestamp64Nano({until:Int64}, 'UTC')
    AND (_block_number, _block_offset) >= ({number:UInt64}, {offset:UInt64})
    AND (_block_number, _block_offset) < ({end_number:UInt64}, {end_offset:UInt64})
ORDER BY _block_number, _block_offset
LIMIT {limit:UInt32}
