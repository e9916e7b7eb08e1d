-- The positions of the last few envelopes, the latest first.
SELECT toUnixTimestamp64Micro(inserted) AS stored, id
FROM envelopes
ORDER BY inserted DESC, id DESC
LIMIT 1 BY id
LIMIT {limit:UInt32}
