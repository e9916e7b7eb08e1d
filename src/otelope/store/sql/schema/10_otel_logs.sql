-- The columns that the collector's clickhouseexporter inserts (create_schema: false).
-- EventName it leaves out for the rest of its life if the table was not to be seen when it started
-- (0.161 looks once): then what it inserts says which event it is, or no view would see it.
-- Not partitioned: one insert of timestamps from more than 100 partitions would be refused.
CREATE TABLE IF NOT EXISTS otel_logs
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String),
    ScopeName LowCardinality(String),
    ScopeVersion LowCardinality(String),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName LowCardinality(String) DEFAULT multiIf(
        ScopeName != $SCOPE, '',
        mapContains(LogAttributes, $DELIVERY_OUTCOME), $DELIVERY_EVENT,
        mapContains(LogAttributes, $ENVELOPE_ID), $ENVELOPE_EVENT,
        mapContains(LogAttributes, $PROCESS_PID), $PROCESS_EVENT,
        ''
    )
)
ENGINE = MergeTree
ORDER BY (EventName, ServiceName, Timestamp)
SETTINGS non_replicated_deduplication_window = 10000
