"""Merchants' endpoints and the letters to them: signed, sent, tried again, on record."""
