"""What is to be done about a deposit: every state of the last transaction by every circumstance."""

from __future__ import annotations

from itertools import product

import pytest

from gstable_server.chain.executor.model import State
from gstable_server.sessions.deposits.machine import Step, returning, sweeping

OVER = {State.FAILED, State.REFUSED, State.WITHDRAWN}
FREE = {None, *OVER}
"""Nothing is under way."""
ANSWERS = (False, True)


@pytest.mark.parametrize("sent", [None, *State])
@pytest.mark.parametrize(("wanted", "funded", "covered"), list(product(ANSWERS, repeat=3)))
def test_there_is_one_collection_at_a_time(
    sent: State | None, wanted: bool, funded: bool, covered: bool
) -> None:
    step = sweeping(sent, wanted=wanted, funded=funded, covered=covered)
    if sent is State.QUEUED:
        keeps = wanted and (funded or not covered)
        assert step is (Step.WAIT if keeps else Step.WITHDRAW)
    elif sent in FREE:
        assert step is (Step.SEND if wanted and covered else Step.WAIT)
    else:
        assert step is Step.WAIT


@pytest.mark.parametrize("sent", [None, *State])
@pytest.mark.parametrize("worth", ANSWERS)
def test_what_comes_after_a_final_return_goes_back_too(sent: State | None, worth: bool) -> None:
    step = returning(sent, worth=worth)
    if sent is State.QUEUED:
        assert step is (Step.WAIT if worth else Step.WITHDRAW)
    elif sent in FREE or sent is State.FINAL:
        assert step is (Step.SEND if worth else Step.WAIT)
    else:
        assert step is Step.WAIT
