"""Showing that an account's wallet is one's own: the message to sign, and the answer."""

from __future__ import annotations

from starlette.responses import Response

from gstable_server.accounts import operations as accounts
from gstable_server.accounts.audit.model import Note
from gstable_server.accounts.ownership import operations
from gstable_server.accounts.ownership.model import Challenge
from gstable_server.chain.networks import Network
from gstable_server.kernel.errors import Code, Refused, invalid_field
from gstable_server.kernel.ids import AccountId
from gstable_server.kernel.urls import is_loopback
from gstable_server.web.dashboard.address import id_of
from gstable_server.web.dashboard.forms import Form
from gstable_server.web.dashboard.guard import Guard, Visit, done
from gstable_server.web.dashboard.settings.account_presenter import account_row

FORM = Form(("network", "message", "signature"))
_TOLD = frozenset(
    {Code.FIELD_INVALID, Code.SIGNATURE_INVALID, Code.NONCE_USED, Code.ROUTE_UNAVAILABLE}
)


class Ownership:
    """The handlers of proofs."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.db = guard.db
        self.networks = guard.desk.networks

    async def choose(self, visit: Visit) -> Response:
        return await self._show(visit, FORM, None)

    async def begin(self, visit: Visit) -> Response:
        """Hand out a message; what was handed out before stays good until it is answered."""
        network = self._network(visit)
        challenge = await self.db.run(
            operations.begin,
            visit.tenant,
            id_of(visit, AccountId, "account_id"),
            network,
            self.guard.desk.public_url,
        )
        return await self._show(visit, FORM, challenge)

    async def answer(self, visit: Visit) -> Response:
        account_id = id_of(visit, AccountId, "account_id")
        try:
            challenge, kind, signature = await operations.check(
                self.db,
                visit.tenant,
                account_id,
                self.guard.chains,
                nonce=visit.entries.get("nonce", ""),
                message=visit.entries.get("message", ""),
                signature_hex=visit.entries.get("signature", ""),
            )
            await self.guard.do(
                visit,
                lambda proof: Note(
                    "account.proven",
                    account_id,
                    after={"by": proof.kind, "network": proof.network},
                ),
                operations.record,
                visit.tenant,
                challenge,
                kind,
                signature,
            )
        except Refused as refused:
            if refused.code not in _TOLD:
                raise
            # Its message is used up: the page offers another one.
            form = FORM.filled(visit.entries).refused(refused)
            return await self._show(visit, form, None, 422)
        return done(visit, f"/accounts/{account_id}", "account-proven")

    async def _show(
        self, visit: Visit, form: Form, challenge: Challenge | None, status: int = 200
    ) -> Response:
        async with self.db.read() as tx:
            account = await accounts.require_account(
                tx, visit.tenant, id_of(visit, AccountId, "account_id")
            )
        network = self.networks.find_network(challenge.network) if challenge else None
        urls = [url for url in network.rpc_urls if is_loopback(url)] if network else []
        return self.guard.show(
            visit,
            "account_proof.html",
            "accounts",
            status=status,
            form=form,
            account=account_row(account),
            networks=[(one.name, one.title) for one in self.networks.of(visit.tenant.mode)],
            challenge=challenge,
            network=network,
            rpc_url=urls[0] if urls else "",
        )

    def _network(self, visit: Visit) -> Network:
        network = self.networks.find_network(visit.entries.get("network", ""))
        if network is None or network.mode is not visit.tenant.mode:
            raise invalid_field("network", "must be one of those that are offered")
        return network
