"""What is sealed is opened with its key, for its row, and by nothing else."""

from __future__ import annotations

import pytest

from gstable_server.plumbing.sealing import KeyLost, Sealer

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
NONCE = bytes(12)
SECRET = b"12345678901234567890"


def test_a_sealed_secret_is_opened_and_does_not_show() -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal(SECRET, "row 1", NONCE)
    assert SECRET not in sealed
    assert sealer.open(sealed, "row 1") == SECRET


def test_keys_are_changed_and_the_older_ones_still_open() -> None:
    sealed = Sealer([OLD]).seal(SECRET, "row 1", NONCE)
    both = Sealer([NEW, OLD])
    assert both.open(sealed, "row 1") == SECRET
    assert not both.is_newest(sealed)
    again = both.seal(SECRET, "row 1", NONCE)
    assert both.is_newest(again)
    assert Sealer([NEW]).open(again, "row 1") == SECRET
    with pytest.raises(KeyLost, match="was not given"):
        Sealer([NEW]).open(sealed, "row 1")


def test_what_was_moved_or_changed_is_not_opened() -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal(SECRET, "row 1", NONCE)
    with pytest.raises(KeyLost):
        sealer.open(sealed, "row 2")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(KeyLost):
            sealer.open(bytes(changed), "row 1")
    for cut in (0, 8, 20, len(sealed) - 1):
        with pytest.raises(KeyLost):
            sealer.open(sealed[:cut], "row 1")


def test_keys_are_written_in_hexadecimal() -> None:
    both = Sealer.from_text(f"{NEW.hex()}, {OLD.hex()}")
    assert both.open(Sealer([OLD]).seal(SECRET, "row", NONCE), "row") == SECRET
    for text in ("", "00", f"{NEW.hex()},", f"0x{NEW.hex()}", "z" * 64):
        with pytest.raises(ValueError, match="32 bytes"):
            Sealer.from_text(text)
