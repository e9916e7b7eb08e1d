-- The spans of a trace, in the order they started.
SELECT
    toUnixTimestamp64Micro(Timestamp) / 1e3 AS started, SpanId, ParentSpanId, SpanName, SpanKind,
    ServiceName, SpanAttributes, Duration / 1e6 AS duration_ms, StatusCode, StatusMessage,
    `Links.TraceId`, `Links.SpanId`
FROM otel_traces
WHERE TraceId = {trace_id:String}
ORDER BY Timestamp, SpanId
LIMIT 1 BY SpanId
LIMIT {limit:UInt32}
