"""Proofs that a receiving account is the merchant's own wallet."""
