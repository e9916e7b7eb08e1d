"""One shop, wired four ways: where commands and events are stored, and who publishes them."""
