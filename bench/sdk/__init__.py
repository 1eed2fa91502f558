"""What a call of the SDK costs beside the bare HTTP client, and stripe-python beside its own."""
