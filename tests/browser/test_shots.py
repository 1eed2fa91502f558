"""The guide's pictures are of the states that there are; how they look is for people to judge."""

from __future__ import annotations

from pathlib import Path

from tests.browser.shots import ALL_STATES, FOLDER, RIGHT_TO_LEFT, SCHEMES, WIDTHS, index, name_of

MEGABYTES_MAX = 3.0


def test_the_guide_shows_every_state(repository: Path) -> None:
    folder = repository / FOLDER
    wanted = {name_of(one, at, how) for one in ALL_STATES for at in WIDTHS for how in SCHEMES}
    pictures = {file.name: file.stat().st_size for file in folder.glob("*.webp")}
    assert pictures.keys() == wanted | {"{}-{}.webp".format(*RIGHT_TO_LEFT)}
    assert sum(pictures.values()) <= MEGABYTES_MAX * 1e6
    assert (folder / "README.md").read_text() == index(), "run ./run shots, and look at them"
