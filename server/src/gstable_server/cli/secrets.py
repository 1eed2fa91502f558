"""``gstable secrets``: what stands in the database sealed, and the keys that it is sealed with."""

from __future__ import annotations

from gstable_server.accounts.members import factors
from gstable_server.plumbing.config import SettingsInvalid, load_settings
from gstable_server.plumbing.db import Database
from gstable_server.plumbing.sealing import sealer_of
from gstable_server.plumbing.system import SystemClock, SystemIdMint


async def reseal() -> bool:
    """Seal everything with the newest key, print what was done, and say whether nothing is lost."""
    try:
        settings = load_settings()
        sealer = sealer_of(settings)
    except SettingsInvalid as problem:
        print(problem)
        return False
    if sealer is None:
        print("GSTABLE_SECRETS_KEY is not set: nothing can be opened")
        return False
    db = await Database.connect(
        settings.database_url, clock=SystemClock(), ids=SystemIdMint(), size=1
    )
    try:
        done, lost = await db.run(factors.reseal, sealer)
    finally:
        await db.close()
    print(f"{done} sealed with the newest key")
    if lost:
        print(f"{lost} cannot be opened: those people use a recovery code, and their app anew")
    return not lost
