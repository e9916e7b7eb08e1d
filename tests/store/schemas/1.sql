-- What otelope 0.1.0 with schema 1 made of one server: `otelope schema apply --plan`.
CREATE DATABASE IF NOT EXISTS `otelope`;

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
    EventName LowCardinality(String)
)
ENGINE = MergeTree()
ORDER BY (EventName, ServiceName, Timestamp)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_traces
(
    Timestamp DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String),
    SpanKind LowCardinality(String),
    ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName LowCardinality(String),
    ScopeVersion LowCardinality(String),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(T64, ZSTD(1)),
    StatusCode LowCardinality(String),
    StatusMessage String CODEC(ZSTD(1)),
    `Events.Timestamp` Array(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    `Events.Name` Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Events.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Links.TraceId` Array(String) CODEC(ZSTD(1)),
    `Links.SpanId` Array(String) CODEC(ZSTD(1)),
    `Links.TraceState` Array(String) CODEC(ZSTD(1)),
    `Links.Attributes` Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1))
)
ENGINE = MergeTree()
ORDER BY (TraceId, Timestamp, SpanId)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS envelopes
(
    id String CODEC(ZSTD(1)),
    type LowCardinality(String),
    kind LowCardinality(String),
    kind_inferred Bool,
    ts DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    source_name LowCardinality(String),
    source_version LowCardinality(String),
    parent_id String CODEC(ZSTD(1)),
    parent_inferred Bool,
    parent_type LowCardinality(String),
    parent_source LowCardinality(String),
    parent_lag_ms Nullable(Float64) CODEC(ZSTD(1)),
    channel LowCardinality(String),
    cause_span_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    service LowCardinality(String),
    body String CODEC(ZSTD(1)),
    inserted DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version UInt8,
    INDEX by_ts ts TYPE minmax,
    INDEX by_inserted inserted TYPE minmax,
    PROJECTION by_id INDEX id TYPE basic,
    PROJECTION by_parent INDEX parent_id TYPE basic
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (trace_id, ts, id)
SETTINGS non_replicated_deduplication_window = 10000, deduplicate_merge_projection_mode = 'rebuild', index_granularity = 1024, min_bytes_for_wide_part = 1073741824;

CREATE MATERIALIZED VIEW IF NOT EXISTS envelopes_from_logs TO envelopes
AS SELECT
    LogAttributes['otelope.envelope.id'] AS id,
    LogAttributes['otelope.envelope.type'] AS type,
    LogAttributes['otelope.envelope.kind'] AS kind,
    LogAttributes['otelope.envelope.kind.inferred'] = 'true' AS kind_inferred,
    Timestamp AS ts,
    LogAttributes['otelope.envelope.source.name'] AS source_name,
    LogAttributes['otelope.envelope.source.version'] AS source_version,
    LogAttributes['otelope.envelope.parent_id'] AS parent_id,
    LogAttributes['otelope.parent.inferred'] = 'true' AS parent_inferred,
    LogAttributes['otelope.parent.type'] AS parent_type,
    LogAttributes['otelope.parent.source'] AS parent_source,
    toFloat64OrNull(LogAttributes['otelope.parent.lag_ms']) AS parent_lag_ms,
    LogAttributes['otelope.envelope.channel'] AS channel,
    LogAttributes['otelope.cause.span_id'] AS cause_span_id,
    TraceId AS trace_id,
    SpanId AS span_id,
    ServiceName AS service,
    Body AS body,
    now64(6) AS inserted,
    multiIf(
        LogAttributes['otelope.recorded_by'] = 'maker', 3, LogAttributes['otelope.recorded_by'] = 'sender', 2, 1
    ) AS version
FROM otel_logs
WHERE EventName = 'otelope.envelope' AND LogAttributes['otelope.envelope.id'] != ''
COMMENT 'otelope db01e7d7381e769c';

CREATE TABLE IF NOT EXISTS deliveries
(
    envelope_id String CODEC(ZSTD(1)),
    envelope_type LowCardinality(String),
    operation LowCardinality(String),
    service LowCardinality(String),
    service_version LowCardinality(String),
    channel LowCardinality(String),
    outcome LowCardinality(String),
    error_type LowCardinality(String),
    started DateTime64(9, 'UTC') CODEC(Delta(8), ZSTD(1)),
    duration_ms Nullable(Float64) CODEC(ZSTD(1)),
    lag_ms Nullable(Float64) CODEC(ZSTD(1)),
    attempt Nullable(UInt32),
    redelivered Nullable(Bool),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    inserted DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version UInt8,
    INDEX by_started started TYPE minmax,
    INDEX by_inserted inserted TYPE minmax,
    PROJECTION by_trace INDEX trace_id TYPE basic
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (envelope_id, trace_id, span_id, operation)
SETTINGS non_replicated_deduplication_window = 10000, deduplicate_merge_projection_mode = 'rebuild', index_granularity = 1024, min_bytes_for_wide_part = 1073741824;

CREATE MATERIALIZED VIEW IF NOT EXISTS deliveries_from_logs TO deliveries
AS SELECT
    LogAttributes['otelope.envelope.id'] AS envelope_id,
    LogAttributes['otelope.envelope.type'] AS envelope_type,
    if(
        LogAttributes['otelope.delivery.operation'] = '', 'process', LogAttributes['otelope.delivery.operation']
    ) AS operation,
    ServiceName AS service,
    ResourceAttributes['service.version'] AS service_version,
    LogAttributes['otelope.envelope.channel'] AS channel,
    LogAttributes['otelope.delivery.outcome'] AS outcome,
    LogAttributes['error.type'] AS error_type,
    Timestamp AS started,
    toFloat64OrNull(LogAttributes['otelope.delivery.duration_ms']) AS duration_ms,
    toFloat64OrNull(LogAttributes['otelope.delivery.lag_ms']) AS lag_ms,
    toUInt32OrNull(LogAttributes['otelope.delivery.attempt']) AS attempt,
    if(
        mapContains(LogAttributes, 'otelope.delivery.redelivered'),
        LogAttributes['otelope.delivery.redelivered'] = 'true',
        NULL
    ) AS redelivered,
    TraceId AS trace_id,
    SpanId AS span_id,
    now64(6) AS inserted,
    if(LogAttributes['otelope.delivery.outcome'] = 'ok', 1, 2) AS version
FROM otel_logs
WHERE EventName = 'otelope.delivery' AND LogAttributes['otelope.envelope.id'] != ''
COMMENT 'otelope 1903c1d99fa288d4';

CREATE TABLE IF NOT EXISTS processes
(
    service LowCardinality(String),
    version LowCardinality(String),
    instance String,
    pid String,
    last_seen DateTime64(9, 'UTC'),
    status String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(last_seen)
ORDER BY (service, instance, pid)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS processes_from_logs TO processes
AS SELECT
    ServiceName AS service,
    ResourceAttributes['service.version'] AS version,
    ResourceAttributes['service.instance.id'] AS instance,
    ResourceAttributes['process.pid'] AS pid,
    Timestamp AS last_seen,
    Body AS status
FROM otel_logs
WHERE EventName = 'otelope.process'
COMMENT 'otelope 157dcd0b98867478';

CREATE TABLE IF NOT EXISTS interactions
(
    hour DateTime('UTC'),
    parent_source LowCardinality(String),
    source LowCardinality(String),
    parent_type LowCardinality(String),
    type LowCardinality(String),
    channel LowCardinality(String),
    envelopes AggregateFunction(uniq, String),
    last_ts SimpleAggregateFunction(max, DateTime64(9, 'UTC'))
)
ENGINE = AggregatingMergeTree()
ORDER BY (hour, parent_source, source, parent_type, type, channel)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS interactions_from_logs TO interactions
AS SELECT
    toStartOfHour(toDateTime(Timestamp, 'UTC')) AS hour,
    LogAttributes['otelope.parent.source'] AS parent_source,
    LogAttributes['otelope.envelope.source.name'] AS source,
    LogAttributes['otelope.parent.type'] AS parent_type,
    LogAttributes['otelope.envelope.type'] AS type,
    LogAttributes['otelope.envelope.channel'] AS channel,
    uniqState(LogAttributes['otelope.envelope.id']) AS envelopes,
    max(Timestamp) AS last_ts
FROM otel_logs
WHERE EventName = 'otelope.envelope' AND LogAttributes['otelope.envelope.id'] != ''
GROUP BY hour, parent_source, source, parent_type, type, channel
COMMENT 'otelope eea062358506e73e';

CREATE MATERIALIZED VIEW IF NOT EXISTS sends_from_logs TO deliveries
AS SELECT
    LogAttributes['otelope.envelope.id'] AS envelope_id,
    LogAttributes['otelope.envelope.type'] AS envelope_type,
    'send' AS operation,
    ServiceName AS service,
    ResourceAttributes['service.version'] AS service_version,
    LogAttributes['otelope.envelope.channel'] AS channel,
    'ok' AS outcome,
    '' AS error_type,
    addMicroseconds(Timestamp, toInt64(1000 * ifNull(lag_ms, 0))) AS started,
    CAST(NULL, 'Nullable(Float64)') AS duration_ms,
    toFloat64OrNull(LogAttributes['otelope.send.lag_ms']) AS lag_ms,
    CAST(NULL, 'Nullable(UInt32)') AS attempt,
    CAST(NULL, 'Nullable(Bool)') AS redelivered,
    TraceId AS trace_id,
    SpanId AS span_id,
    now64(6) AS inserted,
    0 AS version
FROM otel_logs
WHERE EventName = 'otelope.envelope' AND LogAttributes['otelope.envelope.id'] != ''
    AND LogAttributes['otelope.recorded_by'] = 'sender'
COMMENT 'otelope 11c1807c83965673';

CREATE TABLE IF NOT EXISTS contracts
(
    hour DateTime('UTC'),
    type LowCardinality(String),
    standing LowCardinality(String),
    declared Array(String) CODEC(ZSTD(1)),
    fields Array(String) CODEC(ZSTD(1)),
    envelopes AggregateFunction(uniq, String)
)
ENGINE = AggregatingMergeTree()
ORDER BY (hour, type, standing, declared, fields)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS contracts_from_logs TO contracts
AS WITH
    LogAttributes['otelope.contract.declared'] AS contract,
    JSONExtractKeys(Body) AS members,
    arrayFirst(
        name -> has(members, name), ['payload', 'data', 'body', 'payloadBase64', 'data_base64']
    ) AS place,
    JSONExtractKeys(Body, place) AS within,
    multiIf(
        contract != '', JSONExtract(LogAttributes['otelope.contract.left'], 'Array(String)'),
        notEmpty(within), within,
        place != '', if(JSONType(Body, place) IN ('Object', 'Null'), [], ['$']),
        has(members, 'specversion'), [],
        arrayFilter(
            name -> name NOT IN (
                'id', 'timestamp', 'source', 'parentId', 'type', 'channel', 'kind',
                'metadata', 'meta', 'envelope'
            ),
            members
        )
    ) AS found
SELECT
    toStartOfHour(toDateTime(Timestamp, 'UTC')) AS hour,
    LogAttributes['otelope.envelope.type'] AS type,
    multiIf(
        contract != '', 'declared', LogAttributes['otelope.recorded_by'] = 'maker', 'made', 'undeclared'
    ) AS standing,
    JSONExtract(contract, 'Array(String)') AS declared,
    arrayMap(name -> substringUTF8(name, 1, 256), arraySlice(arraySort(found), 1, 256)) AS fields,
    uniqState(LogAttributes['otelope.envelope.id']) AS envelopes
FROM otel_logs
WHERE LogAttributes['otelope.envelope.id'] != ''
    AND (EventName = 'otelope.envelope' OR LogAttributes['otelope.delivery.operation'] = 'send')
GROUP BY hour, type, standing, declared, fields
COMMENT 'otelope a4b30fb3726dacd1';

CREATE TABLE IF NOT EXISTS schema_version
(
    version UInt32,
    applied DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree()
ORDER BY version;

INSERT INTO schema_version (version) VALUES (1);
