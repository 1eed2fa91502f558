"""Merchants, the people and keys that act for them, and the accounts that their money goes to."""
