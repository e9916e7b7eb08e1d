-- Of what was sent under a contract, the sender says what left. Of all else the body is what left:
-- the members of its payload or, without one, those that are no metadata; $$ for what has none.
-- At most 256 fields of an envelope: some payloads are maps whose keys are data.
CREATE MATERIALIZED VIEW IF NOT EXISTS contracts_from_logs TO contracts AS
WITH
    LogAttributes[$CONTRACT_DECLARED] AS contract,
    JSONExtractKeys(Body) AS members,
    arrayFirst(
        name -> has(members, name), ['payload', 'data', 'body', 'payloadBase64', 'data_base64']
    ) AS place,
    JSONExtractKeys(Body, place) AS within,
    multiIf(
        contract != '', JSONExtract(LogAttributes[$CONTRACT_LEFT], 'Array(String)'),
        notEmpty(within), within,
        place != '', if(JSONType(Body, place) IN ('Object', 'Null'), [], ['$$']),
        has(members, 'specversion'), [],
        arrayFilter(
            name -> name NOT IN (
                'id', 'timestamp', 'source', 'parentId', 'type', 'channel', 'kind',
                'metadata', 'meta', 'envelope'
            ),
            members
        )
    ) AS found
SELECT
    toStartOfHour(
        toDateTime(clamp(intDiv(toUnixTimestamp64Nano(Timestamp), 1000000000), 0, 4294967295), 'UTC')
    ) AS hour,
    LogAttributes[$ENVELOPE_TYPE] AS type,
    multiIf(
        contract != '', 'declared', LogAttributes[$RECORDED_BY] = 'maker', 'made', 'undeclared'
    ) AS standing,
    JSONExtract(contract, 'Array(String)') AS declared,
    arrayMap(name -> substringUTF8(name, 1, 256), arraySlice(arraySort(found), 1, 256)) AS fields,
    uniqState(LogAttributes[$ENVELOPE_ID]) AS envelopes
FROM otel_logs
WHERE LogAttributes[$ENVELOPE_ID] != ''
    AND (EventName = $ENVELOPE_EVENT OR LogAttributes[$DELIVERY_OPERATION] = 'send')
GROUP BY hour, type, standing, declared, fields
