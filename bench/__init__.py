"""Measurements of the running system; ``python -m bench`` lists them."""
