"""Doors for paying agents: the AI payment protocol (spec 10), and what else software pays by."""
