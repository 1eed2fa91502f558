"""Checkout sessions and the payments they await."""
