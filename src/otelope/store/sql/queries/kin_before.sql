-- Who caused whom up to a moment, the latest first.
SELECT id, parent_id
FROM envelopes
WHERE parent_id != '' AND ts <= fromUnixTimestamp64Nano({moment:Int64}, 'UTC')
ORDER BY ts DESC
LIMIT {limit:UInt32}
