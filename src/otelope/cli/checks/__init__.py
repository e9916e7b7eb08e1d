"""What `otelope doctor` looks at, one module per question; each knows nothing of the others."""
