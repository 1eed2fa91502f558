"""Security headers, the built files, and templates that escape."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from typer.testing import CliRunner

from gstable_server.cli.app import app
from gstable_server.web import base
from gstable_server.web.base import EMBED_PATH, HERE, BrokenAssets, Pages, load_assets
from tests.unit.web.shop import Merchant

pytestmark = pytest.mark.anyio


async def test_chk_01_02_every_page_forbids_foreign_code_and_frames(
    payer: AsyncClient, merchant: Merchant
) -> None:
    link, session = await merchant.link(), await merchant.session()
    for path in (f"/link/{link.link_id}", f"/pay/{session.session_id}", "/link/lnk_none"):
        headers = (await payer.get(path)).headers
        policy = dict(
            part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert policy["img-src"] == "'self' data:"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


async def test_pages_name_only_files_of_the_build_and_bind_their_content(
    payer: AsyncClient, merchant: Merchant
) -> None:
    session = await merchant.session()
    page = (await payer.get(f"/pay/{session.session_id}")).text
    assets = load_assets(HERE / "static")
    for asset in (assets[name] for name in ("base.css", "checkout.css", "pay.js")):
        assert f'"{asset.url}" integrity="{asset.integrity}"' in page
        answer = await payer.get(asset.url)
        assert answer.content == asset.content
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < len(asset.content)
        plain = await payer.get(asset.url, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == asset.content
    assert 'src="http' not in page
    # Other sites are only ever linked to, for the payer to follow.
    assert set(re.findall(r'<(\w+) [^>]*href="http', page)) <= {"a"}
    assert "style=" not in page


async def test_what_needs_no_login_is_packed(payer: AsyncClient, merchant: Merchant) -> None:
    link, session = await merchant.link(), await merchant.session()
    for path in (f"/pay/{session.session_id}", f"/link/{link.link_id}", EMBED_PATH):
        answer = await payer.get(path)
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < len(answer.content)
        plain = await payer.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert int(plain.headers["content-length"]) == len(plain.content)
        assert plain.headers["vary"] == answer.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "name", ["manifest.json", "..%2fbase.py", "%2e%2e/base.py", "pay.js", "%00", ""]
)
async def test_nothing_else_is_served(payer: AsyncClient, name: str) -> None:
    assert (await payer.get(f"/static/{name}")).status_code == 404


def test_chk_04_a_server_with_a_changed_file_does_not_start_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(HERE / "static", tmp_path / "static")
    script = next((tmp_path / "static").glob("wallet-*.js"))
    script.write_bytes(script.read_bytes().replace(b"eth_", b"eht_", 1))
    monkeypatch.setattr(base, "HERE", tmp_path)
    environment = {
        "DATABASE_URL": "postgresql://127.0.0.1:9/none",
        "GSTABLE_ORDER_SIGNING_KEY": "11" * 32,
        "GSTABLE_FEE_RECEIVER": "0x" + "44" * 20,
    }
    done = CliRunner().invoke(app, ["serve", "--role", "api"], env=environment)
    assert done.exit_code != 0
    assert f"{script.name} is not the file that was built: restore it" in done.output


async def test_chk_04_a_file_changed_after_the_start_is_not_served(tmp_path: Path) -> None:
    shutil.copytree(HERE / "static", tmp_path / "static")
    assets = load_assets(tmp_path / "static")
    server = Starlette(routes=Pages(assets).routes())
    for name, asset in assets.items():
        (tmp_path / "static" / asset.file).write_bytes(b"changed")
        async with AsyncClient(transport=ASGITransport(app=server), base_url="http://x") as client:
            assert (await client.get(asset.url)).content == asset.content, name


def test_chk_04_a_changed_file_stops_the_start(tmp_path: Path) -> None:
    copy = tmp_path / "static"
    shutil.copytree(HERE / "static", copy)
    assert load_assets(copy)
    script = next(copy.glob("pay-*.js"))
    script.write_bytes(script.read_bytes() + b" ")
    with pytest.raises(BrokenAssets, match="not the file that was built"):
        load_assets(copy)
    script.unlink()
    with pytest.raises(BrokenAssets, match="cannot be read"):
        load_assets(copy)


def test_a_notice_is_escaped() -> None:
    page = Pages.load().notice("<b>", "<script>alert(1)</script>", status=409)
    assert page.status_code == 409
    assert b"<script>alert" not in page.body
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in page.body
