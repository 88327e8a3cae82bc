"""What a verb has a gateway do: the one that runs, or one of its own for as long as it takes."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.options import Tools
from gateway.cli.state import opened
from gateway.model.errors import NotDurable
from gateway.settings import Settings
from gateway.store.embedded import InUse, NoServer
from gateway.web.wishes import ALL, TAKEN_S, Deed, Outcome, Wanted, wish


async def wished(
    tools: Tools, settings: Settings, data: Path, link: str, deed: Deed, wanted: Wanted = ALL
) -> Outcome:  # fmt: skip
    """How it went. Never raises for what goes wrong."""
    async with opened(settings, data) as store:
        try:
            outcome = await wish(store, link, deed, wanted)
        except NotDurable as error:
            return Outcome(False, error.message, "see that Redis runs")
    if outcome is not None:
        return outcome
    try:
        async with tools.serve(settings, data, by_itself=False) as gateway:
            await gateway.up()
            performed: Outcome = await gateway.wishes.perform(link, deed, wanted)
            return performed
    except InUse:
        return Outcome(
            False,
            f"a gateway runs on this data folder, and hasn't taken it within {TAKEN_S:.0f} s",
            "look at its log and its /ready, and try again",
        )
    except NoServer as error:
        return Outcome(False, "there is no Redis to work on any more", str(error))
    except OSError as error:
        return Outcome(
            False,
            f"no gateway took it, and this process can't listen for the call-backs: {error}",
            "stop whoever has that port, or start the gateway and try again",
        )
