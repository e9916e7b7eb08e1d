-- What each process last said of its own state, the latest first.
SELECT
    service, version, instance, pid, toUnixTimestamp64Micro(last_seen) / 1e3 AS last_seen_ms, status
FROM processes
ORDER BY last_seen DESC
LIMIT 1 BY service, instance, pid
LIMIT {limit:UInt32}
