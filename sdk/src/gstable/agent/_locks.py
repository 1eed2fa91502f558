"""One payment of a wallet after the other: nonces and allowances are read, then used.

For tasks and for threads, under names that the generated synchronous client finds too.
"""

from threading import Lock as Turn

from anyio import Lock as AsyncTurn

__all__ = ["AsyncTurn", "Turn"]
