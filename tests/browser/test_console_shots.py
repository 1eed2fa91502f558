"""The guide has pictures of every page that the console has; how they look is for people to
judge."""

from __future__ import annotations

from pathlib import Path

from tests.browser.console_shots import FOLDER, SCHEMES, index, names, picture_of
from tests.browser.office import Office, shown_places
from tests.browser.shots import WIDTHS

MEGABYTES_MAX = 6.0


def test_the_guide_shows_every_page_of_the_console(repository: Path) -> None:
    folder = repository / FOLDER
    pages = names([path for path, _ in shown_places(Office.nobodys_guard())])
    wanted = {picture_of(one, at, how) for one in pages for at in WIDTHS for how in SCHEMES}
    pictures = {file.name: file.stat().st_size for file in folder.glob("*.webp")}
    assert pictures.keys() == wanted
    assert sum(pictures.values()) <= MEGABYTES_MAX * 1e6
    assert (folder / "README.md").read_text() == index(pages), (
        "run ./run shots --console, and look at them"
    )
