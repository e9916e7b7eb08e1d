-- Per type and field: in how many envelopes it is known to have left, in how many it is at all, in
-- how many it left beyond a contract, and whether one declares it. The rows with an empty standing
-- count the type's envelopes that left; a contract has a row though it declares no field.
-- Of a type whose payload is a map, whose keys are data, the most frequent are enough.
SELECT
    type, row.1 AS field, row.2 = '' AS total,
    uniqMergeIf(envelopes, row.3 AND standing != 'made') AS left_in,
    uniqMergeIf(envelopes, row.3) AS found_in,
    uniqMergeIf(envelopes, row.3 AND row.2 = 'leaked') AS leaked_in,
    max(row.2 = 'declared') AS in_contract
FROM contracts
ARRAY JOIN arrayConcat(
    [('', '', standing != 'made')],
    if(standing = 'declared', [('', 'declared', false)], []),
    arrayMap(name -> (name, 'declared', has(fields, name)), declared),
    arrayMap(
        name -> (name, if(standing = 'declared', 'leaked', standing), true),
        arrayFilter(name -> NOT has(declared, name), fields)
    )
) AS row
WHERE hour >= toStartOfHour(toDateTime(intDiv({since:Int64}, 1000000000), 'UTC'))
    AND ({type:String} = '' OR type = {type:String})
GROUP BY type, field, total
ORDER BY type, total DESC, in_contract DESC, leaked_in DESC, found_in DESC, field
LIMIT 300 BY type
LIMIT {limit:UInt32}
