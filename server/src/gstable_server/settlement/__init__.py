"""Payments that cross to another network: followed from the payer's end to the merchant's."""
