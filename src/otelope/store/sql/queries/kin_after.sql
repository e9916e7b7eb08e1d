-- Who caused whom from a moment on, the earliest first.
SELECT id, parent_id
FROM envelopes
WHERE parent_id != '' AND ts >= fromUnixTimestamp64Nano({moment:Int64}, 'UTC')
ORDER BY ts
LIMIT {limit:UInt32}
