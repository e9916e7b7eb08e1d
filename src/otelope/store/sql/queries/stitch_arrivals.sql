-- Of these traces, those in which anything was inserted between two points, and when last.
WITH
    fromUnixTimestamp64Micro({since:Int64}, 'UTC') AS since,
    fromUnixTimestamp64Micro({until:Int64}, 'UTC') AS until
SELECT trace_id, toUnixTimestamp64Micro(max(inserted)) AS last
FROM
(
    SELECT trace_id, inserted
    FROM envelopes
    WHERE inserted > since AND inserted <= until AND trace_id IN {trace_ids:Array(String)}
    UNION ALL
    SELECT trace_id, inserted
    FROM deliveries
    WHERE inserted > since AND inserted <= until AND trace_id IN {trace_ids:Array(String)}
)
GROUP BY trace_id
