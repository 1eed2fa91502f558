"""Receipts for people: a page, a PDF and a letter; and for programs: a signed token."""
