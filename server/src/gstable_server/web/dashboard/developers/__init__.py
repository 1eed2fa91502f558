"""Webhooks, events and the log of requests."""
