-- Where chains may come apart: envelopes that stand in another trace than what they caused or than
-- their handling, and those of whom only that arrived, so that their own trace must be looked up;
-- as far as any of it was inserted between two points. A minute before the first is read as well:
-- an envelope and its handling seldom come together.
SELECT
    cut, max(member) AS envelope, groupUniqArray(trace_id) AS trace_ids, max(cut = member) AS known,
    toUnixTimestamp64Micro(max(arrived)) AS last
FROM
(
    SELECT
        arrayJoin(if(parent_id = '', [id], [id, parent_id])) AS cut, id AS member, trace_id,
        inserted AS arrived
    FROM envelopes
    WHERE inserted > fromUnixTimestamp64Micro({since:Int64} - 60000000, 'UTC')
        AND inserted <= fromUnixTimestamp64Micro({until:Int64}, 'UTC')
    UNION ALL
    SELECT envelope_id AS cut, '' AS member, trace_id, inserted AS arrived
    FROM deliveries
    WHERE operation = 'process'
        AND inserted > fromUnixTimestamp64Micro({since:Int64} - 60000000, 'UTC')
        AND inserted <= fromUnixTimestamp64Micro({until:Int64}, 'UTC')
)
WHERE trace_id != ''
GROUP BY cut
HAVING last > {since:Int64} AND (length(trace_ids) > 1 OR NOT known)
ORDER BY last DESC
LIMIT {limit:UInt32}
