-- The newest schema that was ever applied here; an older otelope must not write to it.
CREATE TABLE IF NOT EXISTS schema_version
(
    version UInt32,
    applied DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree
ORDER BY version
