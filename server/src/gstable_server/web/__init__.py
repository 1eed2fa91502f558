"""Doors for people: the payer's pages and the merchant's console. They call operations only."""
