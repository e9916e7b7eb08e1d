-- Who causes what in whom, by the hour. The states count ids, so what arrives twice counts once.
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
ENGINE = AggregatingMergeTree
ORDER BY (hour, parent_source, source, parent_type, type, channel)
SETTINGS non_replicated_deduplication_window = 10000
