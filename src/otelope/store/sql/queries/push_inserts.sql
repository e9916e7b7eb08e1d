-- The next inserts from a place in one on: how many rows each brought, the last place in it, and
-- from when to when its rows are.
SELECT
    _block_number, count(), max(_block_offset), min(toUnixTimestamp64Nano(Timestamp)),
    max(toUnixTimestamp64Nano(Timestamp))
FROM {table:Identifier}
WHERE _block_number >= {number:UInt64}
    AND (_block_number, _block_offset) >= ({number:UInt64}, {offset:UInt64})
GROUP BY _block_number
ORDER BY _block_number
LIMIT {limit:UInt32}
