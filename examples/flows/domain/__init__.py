"""What the shop decides, whatever stores and carries it: pure functions over plain data."""
