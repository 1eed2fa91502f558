"""Refunds: the merchant's own wallet gives money back, and the chain proves it."""
