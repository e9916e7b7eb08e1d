"""What an operation on a message is, for every client library alike."""
