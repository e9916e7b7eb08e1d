-- The clock by which rows say when they were inserted.
SELECT toUnixTimestamp64Micro(now64(6))
