"""``trigger``: makes an event happen for real, on the local chains."""

from __future__ import annotations

import os

from gstable_server.chain.configuration import ConfigurationError
from gstable_server.chain.rpc import NodeRefused
from gstable_server.cli.merchant.connection import MerchantFailed
from gstable_server.cli.merchant.output import print_json, print_line
from gstable_server.cli.payer import PaymentFailed
from gstable_server.cli.robot.stage import RobotFailed, open_stage
from gstable_server.cli.robot.triggering import trigger
from gstable_server.kernel.errors import Passing


async def run(event_type: str, *, as_json: bool) -> None:
    """Make it happen to a new object, wait until it is told, and print what was done.

    Raises ``MerchantFailed`` with the reason.
    """
    try:
        async with open_stage(os.environ) as stage:
            done = await trigger(event_type, stage)
    except (ConfigurationError, NodeRefused, Passing, PaymentFailed, RobotFailed) as failure:
        raise MerchantFailed(str(failure)) from failure
    if as_json:
        shown = {
            "eventType": done.event_type,
            "objectId": done.object_id,
            "eventId": done.event_id,
            "txHash": done.tx_hash_hex,
        }
        print_json(shown)
    else:
        print_line((done.event_type, "bold"), (done.event_id or "", ""), (done.object_id, ""))
        if done.tx_hash_hex:
            print_line(("transaction", "dim"), (done.tx_hash_hex, ""))
