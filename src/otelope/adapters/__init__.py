"""One module per client library: where it hands messages over, and how to read one."""
