"""The export lane: records of envelopes and deliveries, delivered to an OTLP collector."""
