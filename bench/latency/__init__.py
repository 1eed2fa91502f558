"""From a payment's block to its letter, and to the merchant's money on another network."""
