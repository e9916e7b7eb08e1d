-- How many of these spans are here. They are found by their traces: few others are looked at.
SELECT uniqExact(row)
FROM
(
    SELECT
        cityHash64(
            Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, ResourceAttributes,
            SpanAttributes, Duration, StatusCode
        ) AS row
    FROM otel_traces
    WHERE TraceId IN {found_by:Array(String)}
)
WHERE has(arrayMap(number -> toUInt64(number), {marks:Array(String)}), row)
