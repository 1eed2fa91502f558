"""A probe of one configured network: what its node, contracts and tokens really do."""
