"""Products: what merchants sell, with their re-hosted pictures."""
