"""A small OpenID provider on the loopback: the code flow with PKCE, keys, and tokens that a test
may spoil."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BasicAuth, web
from joserfc import jwk, jwt

CLIENT_ID, CLIENT_SECRET = "console", "a secret: of & ours"
KEY = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
Spoil = Callable[["Provider", dict[str, Any], dict[str, Any]], str]
"""Makes the ID token from its head and its claims."""


def signed(provider: Provider, head: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(head, claims, provider.key, algorithms=[head["alg"]])


@dataclass
class Provider:
    """Who is signed in there (``claims``), and what was asked for each code."""

    now: Callable[[], int]
    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    make: Spoil = signed
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    key: jwk.RSAKey = field(default_factory=lambda: KEY)
    keys_read: int = 0

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        """In two parts, as what does not fit into a packet arrives."""
        content = json.dumps({
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            **self.document,
        }).encode()  # fmt: skip
        answer = web.StreamResponse(headers={"content-type": "application/json"})
        await answer.prepare(request)
        await answer.write(content[:20])
        await asyncio.sleep(0.01)
        await answer.write(content[20:])
        await answer.write_eof()
        return answer

    async def keys(self, _request: web.Request) -> web.Response:
        self.keys_read += 1
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: web.Request) -> web.Response:
        """The person of ``claims`` is signed in already and agrees."""
        asked = dict(request.query)
        if asked["client_id"] != CLIENT_ID or asked["code_challenge_method"] != "S256":
            return web.Response(status=400)
        code = f"code-{len(self.asked)}"
        self.asked[code] = asked
        place = f"{asked['redirect_uri']}?code={code}&state={asked['state']}"
        return web.Response(status=302, headers={"location": place})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        known = self.asked.pop(str(form["code"]), None)
        proof = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        given = BasicAuth.decode(request.headers["authorization"])
        is_ours = (given.login, given.password) == (CLIENT_ID, "a+secret%3A+of+%26+ours")
        if known is None or challenge != known["code_challenge"] or not is_ours:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = self.now()
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": known["nonce"],
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.make(self, {"alg": "RS256", "kid": "one"}, claims)
        return web.json_response({"access_token": "-", "token_type": "Bearer", "id_token": token})


@asynccontextmanager
async def provider_at(now: Callable[[], int]) -> AsyncIterator[Provider]:
    provider = Provider(now)
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider.discovery)
    app.router.add_get("/keys", provider.keys)
    app.router.add_get("/authorize", provider.authorize)
    app.router.add_post("/token", provider.token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield provider
    await runner.cleanup()
