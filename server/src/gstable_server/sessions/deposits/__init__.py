"""Payments by a plain transfer to an address of the session's own."""
