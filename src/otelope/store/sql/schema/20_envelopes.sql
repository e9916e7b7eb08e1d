-- One row per envelope: of several records that of who knows most wins: the maker knows all of
-- it, the sender the cause.
-- A chain is one contiguous range; the projections find the few rows that are elsewhere.
-- Small granules in compact parts: a look-up costs half of what it does with the defaults.
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
SETTINGS non_replicated_deduplication_window = 10000, deduplicate_merge_projection_mode = 'rebuild',
    index_granularity = 1024, min_bytes_for_wide_part = 1073741824
