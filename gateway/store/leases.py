"""Who brings a link what it is owed: one replica at a time, by a lease that ends by itself.

A lease alone isn't enough. A process that stands still (a long collection, a suspended machine) may wake up after its
lease has ended and go on as if it had it. So each tenure has a number that only grows, its *fence*. It goes along with
every write about the link, and the script that writes compares it with the last one given out: a late write of a former
holder does nothing and raises ``Ousted``.

A lease that has ended, or was given back, leaves the fence valid until somebody else comes. Nobody has decided anything
in between, and what its holder learned of an attempt that was under way is worth keeping.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import define

from gateway.model.names import Ousted
from gateway.store.connection import Connection

# What a fenced script answers to a former tenure; else it never does.
_OUSTED: Final = -1


@define(eq=False)
class Leases(Connection):
    """Leases and their fences. Every method raises ``NotDurable`` when Redis is away."""

    async def lease(self, link: str, who: str, ms: int) -> int | None:
        """Takes the lease of a link, or keeps it for longer.

        Args:
            who: this process, by a name that no other has and a restart changes.
            ms: for how long from now on.

        Returns:
            The fence. It is another one than before only if somebody else had the lease in between. None: somebody
            else has it now.
        """
        fence = await self.run("lease", [self.keys.fence(link), self.keys.lease(link)], who, ms)
        return None if fence is None else int(fence)

    async def release(self, link: str, who: str) -> None:
        """The lease ends now, if this process has it. What it writes under its fence counts until another comes."""
        await self.run("unlock", [self.keys.lease(link)], who)

    async def leases(self, links: Sequence[str]) -> dict[str, str]:
        """Who has the lease of these links; without those that nobody has."""
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for link in links:
                pipe.get(self.keys.lease(link))
            found = await pipe.execute()
        return {link: who.decode() for link, who in zip(links, found, strict=True) if who is not None}

    async def fenced(
        self, name: str, link: str, fence: int | None, keys: Sequence[str], *args: str | bytes | int
    ) -> int:
        """One script whose first key is the fence, and whose first argument is the number that it is expected to have.

        Args:
            fence: of the caller's tenure; None: whoever has the lease.

        Raises:
            Ousted: there was a later tenure; the script did nothing.
        """
        return int(ours(await self.run(name, [self.keys.fence(link), *keys], "" if fence is None else fence, *args)))


def ours(outcome: Any) -> Any:
    """What a fenced script answered. Raises ``Ousted`` if it was called with the fence of a former tenure."""
    if outcome == _OUSTED:
        raise Ousted("another replica has taken over since")
    return outcome
