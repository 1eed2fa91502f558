"""Which token on which network may pay for what, and what it costs."""
