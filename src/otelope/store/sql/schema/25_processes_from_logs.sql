CREATE MATERIALIZED VIEW IF NOT EXISTS processes_from_logs TO processes AS
SELECT
    ServiceName AS service,
    ResourceAttributes[$SERVICE_VERSION] AS version,
    ResourceAttributes[$SERVICE_INSTANCE_ID] AS instance,
    if(
        LogAttributes[$PROCESS_PID] != '',
        LogAttributes[$PROCESS_PID], ResourceAttributes[$PROCESS_PID]
    ) AS pid,
    Timestamp AS last_seen,
    Body AS status
FROM otel_logs
WHERE EventName = $PROCESS_EVENT
