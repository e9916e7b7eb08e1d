-- Which fields leave together, by the hour. The standing is "declared" where there was a contract,
-- else "undeclared", or "made" of envelopes that their maker told of, whoever sent them.
-- Per set of fields, not per field: to insert a row for each field halved what a store takes in.
CREATE TABLE IF NOT EXISTS contracts
(
    hour DateTime('UTC'),
    type LowCardinality(String),
    standing LowCardinality(String),
    declared Array(String) CODEC(ZSTD(1)),
    fields Array(String) CODEC(ZSTD(1)),
    envelopes AggregateFunction(uniq, String)
)
ENGINE = AggregatingMergeTree
ORDER BY (hour, type, standing, declared, fields)
SETTINGS non_replicated_deduplication_window = 10000
