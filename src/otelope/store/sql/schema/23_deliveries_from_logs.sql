CREATE MATERIALIZED VIEW IF NOT EXISTS deliveries_from_logs TO deliveries AS
SELECT
    LogAttributes[$ENVELOPE_ID] AS envelope_id,
    LogAttributes[$ENVELOPE_TYPE] AS envelope_type,
    if(
        LogAttributes[$DELIVERY_OPERATION] = '', 'process', LogAttributes[$DELIVERY_OPERATION]
    ) AS operation,
    ServiceName AS service,
    ResourceAttributes[$SERVICE_VERSION] AS service_version,
    LogAttributes[$ENVELOPE_CHANNEL] AS channel,
    LogAttributes[$DELIVERY_OUTCOME] AS outcome,
    LogAttributes[$ERROR_TYPE] AS error_type,
    Timestamp AS started,
    toFloat64OrNull(LogAttributes[$DELIVERY_DURATION_MS]) AS duration_ms,
    toFloat64OrNull(LogAttributes[$DELIVERY_LAG_MS]) AS lag_ms,
    toUInt32OrNull(LogAttributes[$DELIVERY_ATTEMPT]) AS attempt,
    if(
        mapContains(LogAttributes, $DELIVERY_REDELIVERED),
        LogAttributes[$DELIVERY_REDELIVERED] = 'true',
        NULL
    ) AS redelivered,
    TraceId AS trace_id,
    SpanId AS span_id,
    now64(6) AS inserted,
    if(LogAttributes[$DELIVERY_OUTCOME] = 'ok', 1, 2) AS version
FROM otel_logs
WHERE EventName = $DELIVERY_EVENT AND LogAttributes[$ENVELOPE_ID] != ''
