"""Holds: a payment that the merchant captures later, in part or in full, or lets go."""
