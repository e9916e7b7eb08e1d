-- The spans of some inserts that follow one of them, up to another, in the order of the table's
-- key; columns as in the insert.
SELECT
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName,
    ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode,
    StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`, `Links.TraceId`,
    `Links.SpanId`, `Links.TraceState`, `Links.Attributes`
FROM otel_traces
WHERE _block_number BETWEEN {number:UInt64} AND {end_number:UInt64}
    AND (_block_number, _block_offset) >= ({number:UInt64}, {offset:UInt64})
    AND (_block_number, _block_offset) < ({end_number:UInt64}, {end_offset:UInt64})
    AND TraceId >= {trace:String} AND TraceId <= {last_trace:String}
    AND (TraceId, toUnixTimestamp64Nano(Timestamp), SpanId, _block_number, _block_offset)
        > ({trace:String}, {started:Int64}, {span:String}, {row_number:UInt64}, {row_offset:UInt64})
    AND (TraceId, toUnixTimestamp64Nano(Timestamp), SpanId, _block_number, _block_offset) <=
    (
        {last_trace:String}, {last_started:Int64}, {last_span:String}, {last_number:UInt64},
        {last_offset:UInt64}
    )
ORDER BY TraceId, Timestamp, SpanId, _block_number, _block_offset
