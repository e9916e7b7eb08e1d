-- What each process last said of its own state.
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
SETTINGS non_replicated_deduplication_window = 10000
