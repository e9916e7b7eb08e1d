-- The newest envelopes that satisfy every filter given; an empty filter lets all pass.
-- Twice as many rows as asked for are read, for those that wait to be merged away.
SELECT *
FROM
(
    SELECT
        id, type, kind, kind_inferred, toUnixTimestamp64Micro(ts) / 1e3 AS timestamp,
        source_name, source_version, parent_id, parent_inferred, parent_lag_ms, channel,
        cause_span_id, trace_id, span_id, service,
        id GLOBAL IN
        (
            SELECT envelope_id FROM deliveries
            WHERE outcome = 'error' AND started >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
        ) AS failed,
        version
    FROM envelopes
    WHERE ({type:String} = '' OR type = {type:String})
        AND ({source:String} = '' OR source_name = {source:String})
        AND ({channel:String} = '' OR channel = {channel:String})
        AND ts >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
        AND ts <= fromUnixTimestamp64Nano({until:Int64}, 'UTC')
        AND ({text:String} = '' OR positionCaseInsensitiveUTF8(body, {text:String}) > 0)
        AND ({failed:Int8} < 0 OR failed = {failed:Int8})
        AND ({stuck:Int64} = 0 OR id GLOBAL IN
        (
            SELECT envelope_id
            FROM
            (
                WITH ifNull(duration_ms, 0) AS took
                SELECT
                    envelope_id, operation, argMax(outcome, version) = 'ok' AS done,
                    max(
                        toUnixTimestamp64Nano(started)
                        + 1000 * toInt64(1000 * if(abs(took) < 1e12, took, 0))
                    ) AS ended
                FROM deliveries
                WHERE {stuck:Int64} != 0 AND operation != 'store'
                GROUP BY envelope_id, trace_id, span_id, operation
            )
            GROUP BY envelope_id
            HAVING minIf(ended, operation = 'outbox' AND done) BETWEEN 1 AND {stuck:Int64}
                AND countIf(operation = 'process' OR operation = 'send' AND done) = 0
        ))
    ORDER BY ts DESC
    LIMIT 2 * {limit:UInt32}
)
ORDER BY timestamp DESC, id, version DESC
LIMIT 1 BY id
LIMIT {limit:UInt32}
