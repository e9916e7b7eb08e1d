-- The spans of some inserts that follow one of them in the order of the table's key: where each
-- stands, its size, a number that tells it from others, and by what it can be found.
SELECT
    TraceId, toUnixTimestamp64Nano(Timestamp) AS started, SpanId, _block_number, _block_offset,
    byteSize(
        Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName,
        ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode,
        StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`, `Links.TraceId`,
        `Links.SpanId`, `Links.TraceState`, `Links.Attributes`
    ),
    toString(cityHash64(
        Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, ResourceAttributes,
        SpanAttributes, Duration, StatusCode
    )),
    TraceId
FROM otel_traces
WHERE _block_number BETWEEN {number:UInt64} AND {end_number:UInt64}
    AND (_block_number, _block_offset) >= ({number:UInt64}, {offset:UInt64})
    AND (_block_number, _block_offset) < ({end_number:UInt64}, {end_offset:UInt64})
    AND TraceId >= {trace:String}
    AND (TraceId, started, SpanId, _block_number, _block_offset)
        > ({trace:String}, {started:Int64}, {span:String}, {row_number:UInt64}, {row_offset:UInt64})
ORDER BY TraceId, Timestamp, SpanId, _block_number, _block_offset
LIMIT {limit:UInt32}
