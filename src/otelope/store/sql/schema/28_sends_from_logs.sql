-- The first sending of an envelope is told by the envelope's own record.
-- No function here may throw, whatever a stranger sends: a row that cannot be derived would keep
-- its whole block out, each time that it is tried. A lag of 31 years and more is none.
CREATE MATERIALIZED VIEW IF NOT EXISTS sends_from_logs TO deliveries AS
WITH toFloat64OrZero(LogAttributes[$SEND_LAG_MS]) AS lag
SELECT
    LogAttributes[$ENVELOPE_ID] AS envelope_id,
    LogAttributes[$ENVELOPE_TYPE] AS envelope_type,
    'send' AS operation,
    ServiceName AS service,
    ResourceAttributes[$SERVICE_VERSION] AS service_version,
    LogAttributes[$ENVELOPE_CHANNEL] AS channel,
    'ok' AS outcome,
    '' AS error_type,
    fromUnixTimestamp64Nano(
        toUnixTimestamp64Nano(Timestamp) + 1000 * toInt64(1000 * if(abs(lag) < 1e12, lag, 0)), 'UTC'
    ) AS started,
    CAST(NULL, 'Nullable(Float64)') AS duration_ms,
    toFloat64OrNull(LogAttributes[$SEND_LAG_MS]) AS lag_ms,
    CAST(NULL, 'Nullable(UInt32)') AS attempt,
    CAST(NULL, 'Nullable(Bool)') AS redelivered,
    TraceId AS trace_id,
    SpanId AS span_id,
    now64(6) AS inserted,
    0 AS version
FROM otel_logs
WHERE EventName = $ENVELOPE_EVENT AND LogAttributes[$ENVELOPE_ID] != ''
    AND LogAttributes[$RECORDED_BY] = 'sender'
