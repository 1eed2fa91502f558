"""The only package that knows a blockchain: networks, orders, logs and the facts they prove."""
