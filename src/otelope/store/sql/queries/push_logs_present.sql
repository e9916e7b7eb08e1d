-- How many of these log records are here. They are found by their times: few others are looked at.
SELECT uniqExact(row)
FROM
(
    SELECT
        cityHash64(
            Timestamp, TraceId, SpanId, ServiceName, Body, ResourceAttributes, LogAttributes,
            EventName
        ) AS row
    FROM otel_logs
    WHERE Timestamp GLOBAL IN
    (
        SELECT fromUnixTimestamp64Nano(toInt64(arrayJoin({found_by:Array(String)})), 'UTC')
    )
)
WHERE has(arrayMap(number -> toUInt64(number), {marks:Array(String)}), row)
