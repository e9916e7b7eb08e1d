CREATE MATERIALIZED VIEW IF NOT EXISTS interactions_from_logs TO interactions AS
SELECT
    toStartOfHour(
        toDateTime(clamp(intDiv(toUnixTimestamp64Nano(Timestamp), 1000000000), 0, 4294967295), 'UTC')
    ) AS hour,
    LogAttributes[$PARENT_SOURCE] AS parent_source,
    LogAttributes[$ENVELOPE_SOURCE_NAME] AS source,
    LogAttributes[$PARENT_TYPE] AS parent_type,
    LogAttributes[$ENVELOPE_TYPE] AS type,
    LogAttributes[$ENVELOPE_CHANNEL] AS channel,
    uniqState(LogAttributes[$ENVELOPE_ID]) AS envelopes,
    max(Timestamp) AS last_ts
FROM otel_logs
WHERE EventName = $ENVELOPE_EVENT AND LogAttributes[$ENVELOPE_ID] != ''
GROUP BY hour, parent_source, source, parent_type, type, channel
