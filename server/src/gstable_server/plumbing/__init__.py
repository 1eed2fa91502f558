"""What touches a machine and knows no noun: database, clock, randomness, HTTP, settings, logs."""
