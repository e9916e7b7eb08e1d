-- Rows of otel_logs: the envelopes with these numbers and the handling of each, as the shop's
-- services export them. Ten in a row are a tree. One tree in ten goes on in a trace of its own, as
-- after an hour in an outbox: its last steps are of another lineage.
-- Ids are docs/identity.md's, of numbers that are hashed instead of drawn.
WITH
    $types AS types,
    $senders AS senders,
    $handlers AS handlers,
    $causes AS causes,
    (tree, step) -> leftPad(lower(hex(bitOr(bitAnd(
        cityHash64('lineage', tree, tree % 10 = 0 AND step > $continued), 0xFFFFFFFFFFFF0FFF
    ), 0x8000))), 16, '0') AS lineage_of,
    (tree, step) -> lower(hex(bitOr(bitAnd(
        cityHash64('unique', tree, step), 0x3FFFFFFFFFFFFFFF
    ), 0x8000000000000000))) AS unique_of,
    (first, last) -> concat(
        substring(first, 1, 8), '-', substring(first, 9, 4), '-', substring(first, 13), '-',
        substring(last, 1, 4), '-', substring(last, 5)
    ) AS id_of,
    (tree, step) -> leftPad(lower(hex(cityHash64('handled', tree, step))), 16, '0') AS handling_of,
    intDiv(number, length(types)) AS tree,
    number % length(types) + 1 AS step,
    causes[step] AS cause,
    lineage_of(tree, step) AS lineage,
    id_of(lineage, unique_of(tree, step)) AS id,
    if(cause = 0, '', id_of(lineage_of(tree, cause), unique_of(tree, cause))) AS parent_id,
    toInt64($epoch_ms + tree * 7 + step * 40) AS ms,
    concat(
        '{"id": "', id, '", "timestamp": ', toString(ms),
        ', "source": {"name": "', senders[step], '", "version": "$version"}, "parentId": ',
        if(cause = 0, 'null', concat('"', parent_id, '"')), ', "type": "', types[step],
        '", "payload": {"orderId": "', lower(hex(MD5(toString(tree)))),
        '", "customer": {"id": ', toString(cityHash64('customer', tree) % 10000000),
        ', "email": "', toString(cityHash64('name', tree) % 100000), '@mail.example"}, "lines": [',
        arrayStringConcat(arrayMap(line -> concat(
            '{"sku": "', lower(hex(toUInt32(cityHash64('sku', number, line)))), '", "title": "',
            $words[cityHash64('first', number, line) % length($words) + 1], ' ',
            $words[cityHash64('second', number, line) % length($words) + 1],
            '", "quantity": ', toString(cityHash64('quantity', number, line) % 9),
            ', "price": ', toString(cityHash64('price', number, line) % 100000 / 100), '}'
        ), range($lines)), ', '), ']}}'
    ) AS text
SELECT
    fromUnixTimestamp64Milli(if(told, ms, ms + 12), 'UTC') AS Timestamp,
    concat(lineage, substring(lower(hex(SHA256(concat('otelope.trace', unhex(lineage))))), 1, 16))
        AS TraceId,
    if(told, unique_of(tree, step), handling_of(tree, step)) AS SpanId,
    1 AS TraceFlags,
    'INFO' AS SeverityText,
    9 AS SeverityNumber,
    if(told, senders[step], handlers[step]) AS ServiceName,
    if(told, text, '') AS Body,
    '$SCHEMA_URL' AS ResourceSchemaUrl,
    map('$SERVICE_NAME', ServiceName, '$SERVICE_VERSION', '$version') AS ResourceAttributes,
    '$SCHEMA_URL' AS ScopeSchemaUrl,
    '$SCOPE' AS ScopeName,
    '$version' AS ScopeVersion,
    CAST(map(), 'Map(String, String)') AS ScopeAttributes,
    mapUpdate(
        map(
            '$ENVELOPE_ID', id,
            '$ENVELOPE_TYPE', types[step],
            '$ENVELOPE_CHANNEL', concat(handlers[step], '.', types[step])
        ),
        if(
            told,
            map(
                '$CLOUDEVENTS_EVENT_ID', id,
                '$CLOUDEVENTS_EVENT_TYPE', types[step],
                '$CLOUDEVENTS_EVENT_SOURCE', senders[step],
                '$ENVELOPE_SOURCE_NAME', senders[step],
                '$ENVELOPE_SOURCE_VERSION', '$version',
                '$ENVELOPE_PARENT_ID', parent_id,
                '$PARENT_TYPE', types[cause],
                '$PARENT_SOURCE', senders[cause],
                '$CAUSE_SPAN_ID', if(cause = 0, '', handling_of(tree, cause)),
                '$RECORDED_BY', 'sender',
                '$SEND_LAG_MS', toString(number % 1000 / 1000)
            ),
            map(
                '$DELIVERY_OPERATION', 'process',
                '$DELIVERY_OUTCOME', 'ok',
                '$DELIVERY_DURATION_MS', toString(number % 9973 / 1000),
                '$DELIVERY_LAG_MS', '12'
            )
        )
    ) AS LogAttributes,
    if(told, '$ENVELOPE_EVENT', '$DELIVERY_EVENT') AS EventName
FROM numbers($first, $count)
ARRAY JOIN [true, false] AS told
