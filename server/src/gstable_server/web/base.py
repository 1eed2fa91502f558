"""What every page shares: templates, the built scripts and styles, and the security headers.

Pages load nothing from elsewhere. The files that they may name are those of the manifest that
``npm run build`` writes beside them; each is checked against its SHA-384 when the server starts,
and again by the browser.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gstable_server.kernel.money import usd_text
from gstable_server.web.language import ENGLISH, Languages, Words

HERE = Path(__file__).parent
PACKED_FROM = 1_000
"""Bytes: less than this fits in one packet anyway."""
STATIC_PATH = "/static"
MANIFEST = "manifest.json"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        # Browsers hold redirects after a form to this list too: ours stay on this server, and
        # the way to the merchant's successUrl is a link.
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": with that, browsers send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    # Some wallets answer from a window of their own.
    "cross-origin-opener-policy": "same-origin-allow-popups",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
PAGE_HEADERS = {**SECURITY_HEADERS, "cache-control": "no-store"}
ASSET_HEADERS = {
    **SECURITY_HEADERS,
    "cache-control": "public, max-age=31536000, immutable",
    "vary": "accept-encoding",
}

EMBED_PATH = "/embed/v1/gstable.js"
EMBED_HEADERS = {
    **SECURITY_HEADERS,
    # Any site may load it, and gets what repairs it within the hour.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "public, max-age=3600, stale-while-revalidate=86400",
    "vary": "accept-encoding",
}


def allow_framing(response: Response, origins: Sequence[str]) -> Response:
    """Let the pages of these origins, and of no others, show ``response`` in a frame."""
    if origins:
        ancestors = f"frame-ancestors {' '.join(origins)}"
        policy = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", ancestors)
        response.headers["content-security-policy"] = policy
        # It knows no lists; browsers that do not know the policy are older than our scripts.
        del response.headers["x-frame-options"]
    return response


def allow_connecting(response: Response, origin: str) -> Response:
    """Let the script of this page, and of no other, connect to ``origin`` as well."""
    policy = response.headers["content-security-policy"]
    response.headers["content-security-policy"] = policy.replace(
        "connect-src 'self'", f"connect-src 'self' {origin}"
    )
    return response


def packed(request: Request, response: Response) -> Response:
    """``response`` in fewer bytes where the browser unpacks them.

    Only for pages whose address is all that it takes to read them, never for what a login guards:
    somebody who makes the browser ask for a page, and sees how long the answer is, could find out
    what stands in it letter by letter (BREACH). Whoever knows a payer's page can just read it.
    """
    response.headers["vary"] = "accept-encoding"
    if len(response.body) >= PACKED_FROM and _takes_gzip(request):
        response.body = gzip.compress(response.body, 6, mtime=0)
        response.headers["content-encoding"] = "gzip"
        response.headers["content-length"] = str(len(response.body))
    return response


class BrokenAssets(Exception):
    """The built files are missing or not those that were built: the server must not start."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One built file. ``file`` carries a hash of the content in its name."""

    file: str
    content: bytes
    content_type: str
    integrity: str

    @property
    def url(self) -> str:
        return f"{STATIC_PATH}/{self.file}"


class _ManifestRow(msgspec.Struct, forbid_unknown_fields=True):
    file: str
    integrity: str


def load_assets(directory: Path) -> dict[str, Asset]:
    """The files of the manifest in ``directory`` by their stable names.

    Raises ``BrokenAssets`` when one is missing or differs from what was built.
    """
    try:
        rows = msgspec.json.decode(
            (directory / MANIFEST).read_bytes(), type=dict[str, _ManifestRow]
        )
        return {name: _asset(directory, row) for name, row in rows.items()}
    except (OSError, msgspec.DecodeError) as failure:
        raise BrokenAssets(f"the built pages cannot be read: {failure}") from failure


def _asset(directory: Path, row: _ManifestRow) -> Asset:
    content = (directory / Path(row.file).name).read_bytes()
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    if row.integrity != f"sha384-{digest}":
        raise BrokenAssets(f"{row.file} is not the file that was built: restore it")
    content_type = mimetypes.guess_type(row.file)[0] or "application/octet-stream"
    return Asset(row.file, content, content_type, row.integrity)


def check_build() -> None:
    """Look at the committed build before anything is started. Raises ``BrokenAssets``."""
    load_assets(HERE / "static")


class Pages:
    """Templates in every language, with the assets they may name. Everything is escaped; a missing
    name is a bug."""

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._assets = assets
        self.languages = Languages.load()
        self.console_languages = Languages.load_console()
        # One for each language, so that macros and filters know it too.
        self._environments: dict[Words, jinja2.Environment] = {}

    @classmethod
    @cache
    def load(cls) -> Pages:
        """With the committed build, read once in a process. Raises ``BrokenAssets``."""
        return cls(load_assets(HERE / "static"))

    def words(self, request: Request, default: str | None = None) -> Words:
        """The language of the page that ``request`` asks for; ``default`` is the merchant's."""
        return self.languages.of(request, default)

    def page(
        self, template: str, /, *, status: int = 200, language: Words | None = None, **context: Any
    ) -> Response:
        """``template`` is a path below ``web/``, for example ``checkout/templates/pay.html``; in
        English where no ``language`` is given."""
        text = self.text(template, language, **context)
        return HTMLResponse(text, status, headers=PAGE_HEADERS)

    def text(self, template: str, language: Words | None = None, /, **context: Any) -> str:
        """The same as text, for example for a letter."""
        environment = self._environment(language or self.languages.words(ENGLISH))
        return environment.get_template(template).render(context)

    def notice(
        self, title: str, text: str, *, status: int, language: Words | None = None
    ) -> Response:
        """A page that says why there is nothing else to show."""
        return self.page(
            "templates/notice.html", status=status, language=language, title=title, text=text
        )

    def _environment(self, words: Words) -> jinja2.Environment:
        if words not in self._environments:
            self._environments[words] = self._new_environment(words)
        return self._environments[words]

    def _new_environment(self, words: Words) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.newstyle_gettext = True  # type: ignore[attr-defined]
        environment.filters["usd"] = usd_text
        environment.filters["said"] = words.said
        environment.globals.update(
            asset=self._assets.__getitem__,
            language=words,
            languages=self.languages.all,
            gettext=words.markup,
            _=words.markup,
            ngettext=words.markup_plural,
        )
        return environment

    def routes(self) -> list[BaseRoute]:
        """The built files, and nothing else: a name that was not built is not found."""
        by_file = {asset.file: asset for asset in self._assets.values()}
        short = {name: gzip.compress(asset.content, 9, mtime=0) for name, asset in by_file.items()}

        async def serve(request: Request) -> Response:
            asset = by_file.get(request.path_params["file"])
            if asset is None:
                return PlainTextResponse("Not found", 404, headers=SECURITY_HEADERS)
            content, headers = asset.content, dict(ASSET_HEADERS)
            if _takes_gzip(request):
                content, headers["content-encoding"] = short[asset.file], "gzip"
            return Response(content, media_type=asset.content_type, headers=headers)

        async def embed(request: Request) -> Response:
            script = self._assets["gstable.js"]
            # Weak, because it is the same for the packed and the plain bytes (RFC 9110, 8.8.1).
            headers = {**EMBED_HEADERS, "etag": f'W/"{script.integrity}"'}
            if request.headers.get("if-none-match") == headers["etag"]:
                return Response(status_code=304, headers=headers)
            answer = Response(script.content, media_type=script.content_type, headers=headers)
            return packed(request, answer)

        return [
            Route(f"{STATIC_PATH}/{{file}}", serve, methods=["GET"]),
            Route(EMBED_PATH, embed, methods=["GET"]),
        ]


def _takes_gzip(request: Request) -> bool:
    """Whether the browser says that it unpacks gzip (RFC 9110, 12.5.3)."""
    given = request.headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return "gzip" in given
