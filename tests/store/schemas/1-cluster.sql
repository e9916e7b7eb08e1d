-- What otelope 0.1.0 with schema 1 made of a cluster `shop`: `otelope schema apply --plan`.
CREATE DATABASE IF NOT EXISTS `otelope` ON CLUSTER `shop`;

CREATE TABLE IF NOT EXISTS otel_logs_local ON CLUSTER `shop`
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
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (EventName, ServiceName, Timestamp)
SETTINGS replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_logs ON CLUSTER `shop` AS otel_logs_local
ENGINE = Distributed('shop', currentDatabase(), 'otel_logs_local', if(TraceId = '', rand64(), cityHash64(TraceId)));

CREATE TABLE IF NOT EXISTS otel_traces_local ON CLUSTER `shop`
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
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (TraceId, Timestamp, SpanId)
SETTINGS replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_traces ON CLUSTER `shop` AS otel_traces_local
ENGINE = Distributed('shop', currentDatabase(), 'otel_traces_local', if(TraceId = '', rand64(), cityHash64(TraceId)));

CREATE TABLE IF NOT EXISTS envelopes_local ON CLUSTER `shop`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
ORDER BY (trace_id, ts, id)
SETTINGS replicated_deduplication_window = 10000, deduplicate_merge_projection_mode = 'rebuild', index_granularity = 1024, min_bytes_for_wide_part = 1073741824;

CREATE TABLE IF NOT EXISTS envelopes ON CLUSTER `shop` AS envelopes_local
ENGINE = Distributed('shop', currentDatabase(), 'envelopes_local', if(trace_id = '', rand64(), cityHash64(trace_id)));

CREATE MATERIALIZED VIEW IF NOT EXISTS envelopes_from_logs ON CLUSTER `shop` TO envelopes_local
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
FROM otel_logs_local
WHERE EventName = 'otelope.envelope' AND LogAttributes['otelope.envelope.id'] != ''
COMMENT 'otelope 2cb1c4598f2064fb';

CREATE TABLE IF NOT EXISTS deliveries_local ON CLUSTER `shop`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
ORDER BY (envelope_id, trace_id, span_id, operation)
SETTINGS replicated_deduplication_window = 10000, deduplicate_merge_projection_mode = 'rebuild', index_granularity = 1024, min_bytes_for_wide_part = 1073741824;

CREATE TABLE IF NOT EXISTS deliveries ON CLUSTER `shop` AS deliveries_local
ENGINE = Distributed('shop', currentDatabase(), 'deliveries_local', if(trace_id = '', rand64(), cityHash64(trace_id)));

CREATE MATERIALIZED VIEW IF NOT EXISTS deliveries_from_logs ON CLUSTER `shop` TO deliveries_local
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
FROM otel_logs_local
WHERE EventName = 'otelope.delivery' AND LogAttributes['otelope.envelope.id'] != ''
COMMENT 'otelope c521b5e1965aeb6e';

CREATE TABLE IF NOT EXISTS processes_local ON CLUSTER `shop`
(
    service LowCardinality(String),
    version LowCardinality(String),
    instance String,
    pid String,
    last_seen DateTime64(9, 'UTC'),
    status String CODEC(ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', last_seen)
ORDER BY (service, instance, pid)
SETTINGS replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS processes ON CLUSTER `shop` AS processes_local
ENGINE = Distributed('shop', currentDatabase(), 'processes_local', rand64());

CREATE MATERIALIZED VIEW IF NOT EXISTS processes_from_logs ON CLUSTER `shop` TO processes_local
AS SELECT
    ServiceName AS service,
    ResourceAttributes['service.version'] AS version,
    ResourceAttributes['service.instance.id'] AS instance,
    ResourceAttributes['process.pid'] AS pid,
    Timestamp AS last_seen,
    Body AS status
FROM otel_logs_local
WHERE EventName = 'otelope.process'
COMMENT 'otelope 4496ea25c0a697f1';

CREATE TABLE IF NOT EXISTS interactions_local ON CLUSTER `shop`
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
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (hour, parent_source, source, parent_type, type, channel)
SETTINGS replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS interactions ON CLUSTER `shop` AS interactions_local
ENGINE = Distributed('shop', currentDatabase(), 'interactions_local', rand64());

CREATE MATERIALIZED VIEW IF NOT EXISTS interactions_from_logs ON CLUSTER `shop` TO interactions_local
AS SELECT
    toStartOfHour(toDateTime(Timestamp, 'UTC')) AS hour,
    LogAttributes['otelope.parent.source'] AS parent_source,
    LogAttributes['otelope.envelope.source.name'] AS source,
    LogAttributes['otelope.parent.type'] AS parent_type,
    LogAttributes['otelope.envelope.type'] AS type,
    LogAttributes['otelope.envelope.channel'] AS channel,
    uniqState(LogAttributes['otelope.envelope.id']) AS envelopes,
    max(Timestamp) AS last_ts
FROM otel_logs_local
WHERE EventName = 'otelope.envelope' AND LogAttributes['otelope.envelope.id'] != ''
GROUP BY hour, parent_source, source, parent_type, type, channel
COMMENT 'otelope 932093dbf744925d';

CREATE MATERIALIZED VIEW IF NOT EXISTS sends_from_logs ON CLUSTER `shop` TO deliveries_local
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
FROM otel_logs_local
WHERE EventName = 'otelope.envelope' AND LogAttributes['otelope.envelope.id'] != ''
    AND LogAttributes['otelope.recorded_by'] = 'sender'
COMMENT 'otelope edb6e3ee5be3b050';

CREATE TABLE IF NOT EXISTS contracts_local ON CLUSTER `shop`
(
    hour DateTime('UTC'),
    type LowCardinality(String),
    standing LowCardinality(String),
    declared Array(String) CODEC(ZSTD(1)),
    fields Array(String) CODEC(ZSTD(1)),
    envelopes AggregateFunction(uniq, String)
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (hour, type, standing, declared, fields)
SETTINGS replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS contracts ON CLUSTER `shop` AS contracts_local
ENGINE = Distributed('shop', currentDatabase(), 'contracts_local', rand64());

CREATE MATERIALIZED VIEW IF NOT EXISTS contracts_from_logs ON CLUSTER `shop` TO contracts_local
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
FROM otel_logs_local
WHERE LogAttributes['otelope.envelope.id'] != ''
    AND (EventName = 'otelope.envelope' OR LogAttributes['otelope.delivery.operation'] = 'send')
GROUP BY hour, type, standing, declared, fields
COMMENT 'otelope aceb4f9d0859bc38';

CREATE TABLE IF NOT EXISTS schema_version_local ON CLUSTER `shop`
(
    version UInt32,
    applied DateTime('UTC') DEFAULT now()
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY version;

CREATE TABLE IF NOT EXISTS schema_version ON CLUSTER `shop` AS schema_version_local
ENGINE = Distributed('shop', currentDatabase(), 'schema_version_local', rand64());

INSERT INTO schema_version (version) VALUES (1);
