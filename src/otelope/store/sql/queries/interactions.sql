-- Who caused what in whom since a moment, how often, and when last.
SELECT
    parent_source, source, parent_type, type, channel,
    uniqMerge(envelopes) AS count, toUnixTimestamp64Micro(max(last_ts)) / 1e3 AS last
FROM interactions
WHERE hour >= toStartOfHour(toDateTime(intDiv({since:Int64}, 1000000000), 'UTC'))
GROUP BY parent_source, source, parent_type, type, channel
ORDER BY count DESC, parent_source, source, parent_type, type, channel
LIMIT {limit:UInt32}
