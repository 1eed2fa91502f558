"""A payer that plays what can happen to a session, for real, on test networks."""
