"""A platform for your own tests: in this process, without network, database or chain.

    from gstable.testing import FakeGStable

    fake = FakeGStable()
    client = fake.client()

It answers as a real server does: the same contract tests run against both. Imports nothing that
`gstable` itself does not, until it is used.
"""

from gstable.testing._accounts import FakeAccount
from gstable.testing._clock import FakeClock
from gstable.testing._fake import FakeGStable
from gstable.testing._mail import Delivery

__all__ = ["Delivery", "FakeAccount", "FakeClock", "FakeGStable"]
