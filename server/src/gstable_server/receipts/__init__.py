"""What a payer has in hand after paying: what was paid, for what, to whom, and its proof."""
