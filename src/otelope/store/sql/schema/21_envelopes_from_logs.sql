CREATE MATERIALIZED VIEW IF NOT EXISTS envelopes_from_logs TO envelopes AS
SELECT
    LogAttributes[$ENVELOPE_ID] AS id,
    LogAttributes[$ENVELOPE_TYPE] AS type,
    LogAttributes[$ENVELOPE_KIND] AS kind,
    LogAttributes[$ENVELOPE_KIND_INFERRED] = 'true' AS kind_inferred,
    Timestamp AS ts,
    LogAttributes[$ENVELOPE_SOURCE_NAME] AS source_name,
    LogAttributes[$ENVELOPE_SOURCE_VERSION] AS source_version,
    LogAttributes[$ENVELOPE_PARENT_ID] AS parent_id,
    LogAttributes[$PARENT_INFERRED] = 'true' AS parent_inferred,
    LogAttributes[$PARENT_TYPE] AS parent_type,
    LogAttributes[$PARENT_SOURCE] AS parent_source,
    toFloat64OrNull(LogAttributes[$PARENT_LAG_MS]) AS parent_lag_ms,
    LogAttributes[$ENVELOPE_CHANNEL] AS channel,
    LogAttributes[$CAUSE_SPAN_ID] AS cause_span_id,
    TraceId AS trace_id,
    SpanId AS span_id,
    ServiceName AS service,
    Body AS body,
    now64(6) AS inserted,
    multiIf(
        LogAttributes[$RECORDED_BY] = 'maker', 3, LogAttributes[$RECORDED_BY] = 'sender', 2, 1
    ) AS version
FROM otel_logs
WHERE EventName = $ENVELOPE_EVENT AND LogAttributes[$ENVELOPE_ID] != ''
