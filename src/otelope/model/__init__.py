"""What both halves agree on: envelopes, identities, attribute names. Standard library only."""
