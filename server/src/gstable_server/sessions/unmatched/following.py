"""What the clock does about unusual money: a merchant's policies, and what came to nothing.

Each final payment that pays nothing as asked is judged by its merchant's policies once. Where the
process may die: before the commit nothing was judged, and the next turn of any process does it.
"""

from __future__ import annotations

import structlog

from gstable_server.accounts.preferences import operations as preferences
from gstable_server.kernel.errors import Refused
from gstable_server.kernel.ids import InflowId
from gstable_server.plumbing.db import Tx
from gstable_server.sessions import store as session_store
from gstable_server.sessions.cases import Cases
from gstable_server.sessions.operations import Desk
from gstable_server.sessions.unmatched import operations, store
from gstable_server.sessions.unmatched.judging import ITSELF
from gstable_server.sessions.unmatched.policies import reason_to_accept

log = structlog.get_logger(__name__)

JUDGED_TOGETHER = 20


async def follow_up(tx: Tx, desk: Desk) -> int:
    """Judge by policies what became final, and open again what was to be refunded or returned
    and will not be; returns how many were opened again. For the timetable."""
    # Sessions are locked before what came for them, here as everywhere.
    for inflow_id in await store.lock_unjudged(tx, JUDGED_TOGETHER):
        await _judge(tx, desk, inflow_id)
    return await operations.follow_up(tx, desk)


async def _judge(tx: Tx, desk: Desk, inflow_id: InflowId) -> None:
    inflow = await store.find(tx, inflow_id)
    assert inflow is not None, "its row was read just now"
    assert inflow.session_id is not None, "only what came for a session is judged"
    session = await session_store.find(tx, inflow.session_id)
    assert session is not None, "the inflow refers to it"
    wanted = (await preferences.preferences(tx, session.tenant)).policies
    assert inflow.tx_hash is not None, "a payment is a log"
    assert inflow.log_position is not None, "a payment is a log"
    name = inflow.network, inflow.tx_hash, inflow.log_position
    cases = await Cases.about(tx, [session.session_key], orders=True)
    case = cases.case(session.session_key, name)
    payment = case.payment(name)
    assert payment is not None, "the inflow is its row's"
    await store.set_judged(tx, inflow_id)
    attested = case.attested_for(payment.network, payment.token_id, payment.rail)
    asked = min(attested, default=None)
    reason = reason_to_accept(wanted, session, payment, asked)
    if reason is None:
        return
    try:
        await operations.accept(
            tx, desk, inflow_id, actor=ITSELF, reason=reason, tenant=session.tenant
        )
    except Refused as refused:
        # Refused before anything was written: money of it goes back meanwhile, for example.
        log.info("policy does not apply", inflow_id=inflow_id, why=refused.detail)
