"""Asking another server who somebody is (OpenID Connect Core 1.0, code flow with PKCE, RFC 7636).

Nothing that the browser brings back is believed: the code is exchanged with the server itself, and
the ID token has to be signed by one of its keys, for us, now, and for the question that this very
browser was sent with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from gstable_server.kernel.errors import Passing
from gstable_server.kernel.urls import is_loopback
from gstable_server.plumbing.config import Settings, SettingsInvalid

ALGORITHMS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}
"""What may sign, and the kind of key for it: no ``none``, and nothing that the client's secret or
a public key could sign."""
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 15
BYTES_MAX = 256 * 1024
KEPT_SECONDS = 3_600.0
AGAIN_SECONDS = 60.0
"""Keys are asked for again at most as often, whatever unknown ones are named."""
SCOPE = "openid email"


class OpenIdRefused(Exception):
    """The other server said no, or what it said cannot be believed; the text says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is to ``issuer``: ``subject`` never changes, and the e-mail address is theirs
    only if the issuer says that it was verified."""

    issuer: str
    subject: str
    email: str
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Client:
    """How this server is known to the other one; ``name`` is what people call that."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    name: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What discovery told, and until when it is believed (monotonic seconds)."""

    document: Mapping[str, Any]
    until: float


class OpenId:
    """One other server that people may sign in with. ``token`` is always what the browser was
    given: state, nonce and code verifier follow from it, so that none has to be kept."""

    def __init__(self, client: Client, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        if not is_trusted(client.issuer):
            raise ValueError("must be an https:// address without query or fragment")
        self.client = client
        self._monotonic = monotonic
        self._known: _Known | None = None
        self._keys: list[Mapping[str, Any]] = []
        self._keys_at: float | None = None

    async def question(self, token: str) -> str:
        """The address that the browser is sent to. Raises ``Passing``, ``OpenIdRefused``."""
        document = await self._document()
        challenge = hashlib.sha256(_derived(token, "verifier").encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "scope": SCOPE,
            "state": _derived(token, "state"),
            "nonce": _derived(token, "nonce"),
            "code_challenge": _text(challenge),
            "code_challenge_method": "S256",
        }
        place = document["authorization_endpoint"]
        return f"{place}{'&' if urlsplit(place).query else '?'}{urlencode(query)}"

    async def identity(self, token: str, answer: Mapping[str, str], now: datetime) -> Identity:
        """Who came back with ``answer``, the query of the return address. Raises ``Passing``,
        ``OpenIdRefused``."""
        if not hmac.compare_digest(
            answer.get("state", "").encode(), _derived(token, "state").encode()
        ):
            raise OpenIdRefused("the answer is to another question")
        if answer.get("iss", self.client.issuer) != self.client.issuer:
            raise OpenIdRefused("the answer is of another server (RFC 9207)")
        if "code" not in answer:
            raise OpenIdRefused(f"it said {answer.get('error', 'nothing')[:100]}")
        id_token = await self._exchanged(answer["code"], _derived(token, "verifier"))
        claims = await self._verified(id_token)
        self._judge(claims, _derived(token, "nonce"), int(now.timestamp()))
        email = claims.get("email")
        return Identity(
            issuer=self.client.issuer,
            subject=claims["sub"],
            email=email if isinstance(email, str) else "",
            is_verified=claims.get("email_verified") is True,
        )

    async def _exchanged(self, code: str, verifier: str) -> str:
        document = await self._document()
        words = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": verifier,
        }
        pair = f"{quote_plus(self.client.client_id)}:{quote_plus(self.client.client_secret)}"
        headers = {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        answer = await _asked("POST", document["token_endpoint"], headers, words)
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise OpenIdRefused("it gave no ID token")
        return id_token

    async def _verified(self, id_token: str) -> dict[str, Any]:
        """What the token says, if one of the issuer's keys signed it."""
        head = _head(id_token)
        algorithm, kind = head.get("alg"), ALGORITHMS.get(str(head.get("alg")))
        if kind is None or not isinstance(algorithm, str):
            raise OpenIdRefused("the ID token is signed in a way that is not accepted")
        found = await self._key(kind, head.get("kid"))
        try:
            key = jwk.import_key(dict(found))
            token = jwt.decode(id_token, key, algorithms=[algorithm])
        except (JoseError, ValueError) as problem:
            raise OpenIdRefused("the ID token is not signed by its issuer") from problem
        return dict(token.claims)

    async def _key(self, kind: str, key_id: object) -> Mapping[str, Any]:
        for is_last in (False, True):
            fitting = [
                one
                for one in await self._signing_keys(anew=is_last)
                if one.get("kty") == kind and (key_id is None or one.get("kid") == key_id)
            ]
            if len(fitting) == 1:
                return fitting[0]
        raise OpenIdRefused("the ID token names no key of its issuer")

    def _judge(self, claims: Mapping[str, Any], nonce: str, now: int) -> None:
        """OpenID Connect Core, 3.1.3.7."""
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        until, made = claims.get("exp"), claims.get("iat")
        subject, said = claims.get("sub"), claims.get("nonce")
        if claims.get("iss") != self.client.issuer:
            raise OpenIdRefused("the ID token is of another issuer")
        if self.client.client_id not in audiences:
            raise OpenIdRefused("the ID token is for somebody else")
        if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != self.client.client_id:
            raise OpenIdRefused("the ID token was made for somebody else")
        if not isinstance(until, int) or until + LEEWAY_SECONDS <= now:
            raise OpenIdRefused("the ID token is over")
        if not isinstance(made, int) or made - LEEWAY_SECONDS > now:
            raise OpenIdRefused("the ID token is of the future")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
            raise OpenIdRefused("the ID token is to another question")
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise OpenIdRefused("the ID token names nobody")

    async def _document(self) -> Mapping[str, Any]:
        if self._known is not None and self._monotonic() < self._known.until:
            return self._known.document
        place = f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration"
        document = await _asked("GET", place)
        if document.get("issuer") != self.client.issuer:
            raise OpenIdRefused("its description is of another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_trusted(str(document.get(name, "")), with_query=True):
                raise OpenIdRefused(f"its description has no usable {name}")
        self._known = _Known(document, self._monotonic() + KEPT_SECONDS)
        return document

    async def _signing_keys(self, *, anew: bool) -> list[Mapping[str, Any]]:
        age = None if self._keys_at is None else self._monotonic() - self._keys_at
        if age is None or age >= (AGAIN_SECONDS if anew else KEPT_SECONDS):
            answer = await _asked("GET", (await self._document())["jwks_uri"])
            rows = answer.get("keys")
            self._keys = [
                row
                for row in (rows if isinstance(rows, list) else [])
                if isinstance(row, dict) and row.get("use", "sig") == "sig"
            ]
            self._keys_at = self._monotonic()
        return self._keys


def openid_of(settings: Settings, return_path: str) -> OpenId | None:
    """The other server that people may sign in with, if one is set. Raises ``SettingsInvalid``."""
    if settings.oidc_issuer is None:
        return None
    if not settings.oidc_client_id or settings.oidc_secret_file is None:
        wanted = "GSTABLE_OIDC_CLIENT_ID and GSTABLE_OIDC_SECRET_FILE"
        raise SettingsInvalid(f"GSTABLE_OIDC_ISSUER: needs {wanted} too")
    try:
        secret = settings.oidc_secret_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        raise SettingsInvalid(f"GSTABLE_OIDC_SECRET_FILE: cannot be read: {problem}") from None
    redirect_uri = f"{settings.public_url}{return_path}"
    try:
        return OpenId(
            Client(
                settings.oidc_issuer,
                settings.oidc_client_id,
                secret,
                redirect_uri,
                settings.oidc_name,
            )
        )
    except ValueError as problem:
        raise SettingsInvalid(f"GSTABLE_OIDC_ISSUER: {problem}") from None


def is_trusted(url: str, *, with_query: bool = False) -> bool:
    """Whether nobody on the way can change what is asked there: TLS, or this very machine."""
    parts = urlsplit(url)
    is_plain = not parts.fragment and not parts.username and (with_query or not parts.query)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    return bool(parts.hostname) and is_plain and is_safe


async def _asked(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON object that is answered there; redirects are not followed. The operator chose the
    server, so it may be in a network of our own."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.request(
                method, url, headers=headers, data=words, allow_redirects=False
            ) as answer,
        ):
            raw = await _whole(answer)
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        raise Passing(f"the server to sign in with did not answer: {type(problem).__name__}") from (
            problem
        )
    if status >= 500:
        raise Passing(f"the server to sign in with answered {status}")
    if status != 200:
        raise OpenIdRefused(f"it answered {status}")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OpenIdRefused("it answered no JSON object")
    return found


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    """The body, which comes in as many parts as the network likes."""
    raw = bytearray()
    async for part in answer.content.iter_any():
        raw += part
        if len(raw) > BYTES_MAX:
            raise OpenIdRefused("its answer is too long")
    return bytes(raw)


def _head(id_token: str) -> dict[str, Any]:
    try:
        first = id_token.split(".")[0]
        found = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OpenIdRefused("the ID token cannot be read")
    return found


def _derived(token: str, what: str) -> str:
    return _text(hmac.digest(token.encode(), f"openid {what}".encode(), "sha256"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
