"""From a payment's block on one network to the merchant's money on another, by rail."""
