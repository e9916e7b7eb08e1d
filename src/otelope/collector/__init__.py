"""Takes what instrumented programs send over OTLP, and answers questions about it."""
