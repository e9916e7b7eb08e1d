"""What the protocols and services that clients speak say of messages, whatever the client."""
