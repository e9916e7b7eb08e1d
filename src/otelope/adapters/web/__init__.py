"""Web frameworks and HTTP clients."""
