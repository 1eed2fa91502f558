"""Wallets that wait to become receiving accounts."""
