"""The payer's pages: ``/link/<linkId>`` and ``/pay/<sessionId>`` (spec 7 and 15)."""
