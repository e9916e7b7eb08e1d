-- One row per handling of an envelope by a consumer, per sending and per transaction that stored
-- it; of two the higher version wins: a failure is told after the sending that it ends.
-- Ordered by envelope first: a batch is handled in a trace of its own, and the ids of a chain
-- share their first digits.
-- Small granules in compact parts: a look-up costs half of what it does with the defaults.
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
SETTINGS non_replicated_deduplication_window = 10000, deduplicate_merge_projection_mode = 'rebuild',
    index_granularity = 1024, min_bytes_for_wide_part = 1073741824
