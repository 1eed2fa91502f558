"""What is looked at before anything is signed or sent. Pure."""

from collections.abc import Iterable

from eth_utils.address import is_hex_address, to_checksum_address

from gstable._reader import Malformed, Reader
from gstable.agent._errors import NotPayable, UnsafePayment
from gstable.agent._models import AgentLink, PayableToken, PreparedPayment
from gstable.agent._orders import read_order, session_key

DECIMALS_MAX = 77
"""More than any amount of 256 bits has digits."""
DELEGATED = bytes.fromhex("ef0100")
"""How the code of a wallet begins that only points at code (EIP-7702): it is no contract."""


def choose(tokens: Iterable[PayableToken], chain_id: int, token: str | None) -> PayableToken:
    """The token of that chain, by address or symbol; the first one unless given."""
    there = [found for found in tokens if found.chain_id == chain_id]
    if not there:
        raise NotPayable(f"it cannot be paid on chain {chain_id}")
    for found in there:
        if token is None or token.lower() in (found.token_address.lower(), found.symbol.lower()):
            return found
    raise NotPayable(f"it cannot be paid with {token} on chain {chain_id}")


def price_of(link: AgentLink, token: PayableToken, amount_in_token: int | None) -> int:
    """Smallest units to pay: the link's price, or the payer's where the link leaves it open."""
    if link.pricing != "custom":
        if amount_in_token not in (None, token.amount_in_token):
            raise NotPayable(f"the link costs {token.amount_in_token} smallest units, no other sum")
        return token.amount_in_token
    if amount_in_token is None:
        raise NotPayable("the link leaves the amount to the payer: give amount_in_token")
    least, most = token.least_in_token or 1, token.most_in_token
    if amount_in_token < least or (most is not None and amount_in_token > most):
        raise NotPayable(f"amount_in_token must be between {least} and {most}")
    return amount_in_token


def address(text: object, what: str) -> str:
    """An address in EIP-55, as wallets want it. One in a single case has no checksum to check."""
    if isinstance(text, str) and text.startswith("0x") and is_hex_address(text):
        checksummed = str(to_checksum_address(text))
        if text[2:] in (checksummed[2:], text[2:].lower(), text[2:].upper()):
            return checksummed
    raise UnsafePayment(f"{what} is no address")


def same(one: str, two: str) -> bool:
    """Whether two addresses are one, whatever their case."""
    return one.lower() == two.lower()


def prepared(
    found: Reader, session_id: str, chain_id: int, token: str, most: int | None, now: int
) -> PreparedPayment:
    """What the platform prepared, if it pays that session in that token on that chain, takes no
    more than `most` smallest units, and can still be paid. Raises `UnsafePayment`."""
    if found.text("executionChainId") != str(chain_id):
        raise UnsafePayment("the payment is prepared for another chain")
    executor = address(found.text("executorContract"), "executorContract")
    calldata = _bytes(found.text("calldata"))
    if same(executor, token):
        raise UnsafePayment("the executor is the token itself")
    _check_request(found, chain_id, executor, calldata)
    order = read_order(calldata)
    if order.session_key != session_key(session_id):
        raise UnsafePayment("the call pays another session")
    if f"0x{order.token.hex()}" != token.lower():
        raise UnsafePayment("the call takes another token")
    if not 0 < order.total <= (order.total if most is None else most):
        raise UnsafePayment(f"the call takes {order.total} smallest units, {most} were agreed")
    if order.deadline <= now:
        raise UnsafePayment("the time to pay is over")
    return PreparedPayment(
        session_id=session_id,
        session_key=order.session_key,
        chain_id=chain_id,
        token_address=token,
        executor=executor,
        calldata=calldata,
        total=order.total,
        deadline=order.deadline,
    )


def check_contract(code: bytes, what: str) -> None:
    """Raises `UnsafePayment` where there is a wallet or nothing."""
    if not code or code.startswith(DELEGATED):
        raise UnsafePayment(f"there is no contract at {what}")


def _check_request(found: Reader, chain_id: int, executor: str, calldata: bytes) -> None:
    """The platform names the call twice (section 10.5); both must be the same one."""
    guide = found.child("aiView").optional_child("paymentExecutionGuide")
    if guide is None:
        return
    request = guide.child("executionRequest").child("txRequest")
    same_call = (
        same(request.text("to"), executor)
        and _bytes(request.text("data")) == calldata
        and request.decimal("value") == 0
        and request.decimal("chainId") == chain_id
    )
    if not same_call:
        raise UnsafePayment("the platform names two different calls")


def _bytes(text: str) -> bytes:
    try:
        if text.startswith("0x"):
            return bytes.fromhex(text[2:])
    except ValueError:
        pass
    raise Malformed("calldata must be hexadecimal")
