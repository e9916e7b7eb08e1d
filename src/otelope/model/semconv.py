"""
Every attribute and event name we write or query, as a constant.

OpenTelemetry's names are those of the semantic conventions 1.44 (Development); what they do not
cover stands under ``otelope.``.
"""

from __future__ import annotations

from typing import Final


SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
SCOPE: Final = "otelope"

# Messaging conventions
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_DESTINATION_NAME: Final = "messaging.destination.name"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_BATCH_MESSAGE_COUNT: Final = "messaging.batch.message_count"
ERROR_TYPE: Final = "error.type"

# CloudEvents conventions
CLOUDEVENTS_EVENT_ID: Final = "cloudevents.event_id"
CLOUDEVENTS_EVENT_SOURCE: Final = "cloudevents.event_source"
CLOUDEVENTS_EVENT_TYPE: Final = "cloudevents.event_type"

# Resource conventions
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
PROCESS_PID: Final = "process.pid"

# The envelope, on its span, on delivery spans and on its record
ENVELOPE_ID: Final = "otelope.envelope.id"
ENVELOPE_TYPE: Final = "otelope.envelope.type"
ENVELOPE_PARENT_ID: Final = "otelope.envelope.parent_id"
ENVELOPE_SOURCE_NAME: Final = "otelope.envelope.source.name"
ENVELOPE_SOURCE_VERSION: Final = "otelope.envelope.source.version"
ENVELOPE_CHANNEL: Final = "otelope.envelope.channel"
ENVELOPE_KIND: Final = "otelope.envelope.kind"
ENVELOPE_KIND_INFERRED: Final = "otelope.envelope.kind.inferred"

# On the span of a transaction that stores the envelope
STORE_NAME: Final = "otelope.store.name"

# On the spans that are made from records
STITCHED: Final = "otelope.stitched"

# What is known of the parent when a record is written
PARENT_TYPE: Final = "otelope.parent.type"
PARENT_SOURCE: Final = "otelope.parent.source"
PARENT_LAG_MS: Final = "otelope.parent.lag_ms"
PARENT_INFERRED: Final = "otelope.parent.inferred"
CAUSE_SPAN_ID: Final = "otelope.cause.span_id"

# Who wrote an envelope record: "maker" knows all of it, "sender" the cause, "receiver" may not.
RECORDED_BY: Final = "otelope.recorded_by"
SEND_LAG_MS: Final = "otelope.send.lag_ms"  # from the envelope's timestamp, in a sender's record

# What was sent under a contract: field names of the payload, a JSON array as text
CONTRACT_DECLARED: Final = "otelope.contract.declared"
CONTRACT_LEFT: Final = "otelope.contract.left"

# Deliveries; who handled, sent or stored is the resource's service
DELIVERY_OPERATION: Final = "otelope.delivery.operation"  # "process", "send", "store", "outbox"
DELIVERY_OUTCOME: Final = "otelope.delivery.outcome"  # "ok", "error", "unknown"
DELIVERY_DURATION_MS: Final = "otelope.delivery.duration_ms"
DELIVERY_LAG_MS: Final = "otelope.delivery.lag_ms"
DELIVERY_ATTEMPT: Final = "otelope.delivery.attempt"
DELIVERY_REDELIVERED: Final = "otelope.delivery.redelivered"

# Log record event names
ENVELOPE_EVENT: Final = "otelope.envelope"
DELIVERY_EVENT: Final = "otelope.delivery"

# The tracestate member that says: the envelope of this message is already recorded
TRACESTATE_KEY: Final = "otelope"

# Our own counters, as metrics
RECORDS_SEEN: Final = "otelope.records.seen"
RECORDS_STORED: Final = "otelope.records.stored"
RECORDS_SPOOLED: Final = "otelope.records.spooled"
RECORDS_DROPPED: Final = "otelope.records.dropped"
SPANS_SEEN: Final = "otelope.spans.seen"
SPANS_STORED: Final = "otelope.spans.stored"
SPANS_SPOOLED: Final = "otelope.spans.spooled"
SPANS_DROPPED: Final = "otelope.spans.dropped"
INTERNAL_ERRORS: Final = "otelope.internal_errors"

# What a process says of its own state from time to time (body: JSON)
PROCESS_EVENT: Final = "otelope.process"
