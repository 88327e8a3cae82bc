"""What goes before what: a connector must not name a tariff that its receiver doesn't have.

So a location lets the tariffs that it names go first, and a tariff that leaves a receiver (deleted, or no longer shown)
the locations that have named it. Whatever of these is due or under way is brought, or waited for: in the place of the
one that waits, so that nothing has to be planned, and with no lane held, so that nobody waits in a circle.

A location is asked about where it is taken anyway, and that costs nothing where none of its tariffs is due. Nobody
waits for more than one attempt that fails: what has failed waits by itself, and so does what its breaker keeps back.
Where two wait for each other, because a location names a tariff that leaves, the location goes first: towards that
receiver it doesn't name it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from attrs import define, field, frozen

from gateway.breaker import Breakers
from gateway.directory import Link
from gateway.ledger.errands import DELIVERY_S, Errand
from gateway.ledger.pace import ms
from gateway.lookup import connectors_of
from gateway.model.attached import asked
from gateway.model.modules import Module
from gateway.model.names import Early, Name
from gateway.ports import Owed, Seen
from gateway.showing import our_parties

_MOST: Final = 2000  # tariffs that one location may wait for
_SOON_MS: Final = 1000  # what is due within that time counts as due: repetitions wait their turn for less
_EVER: Final = 2**53


@define(eq=False)
class Turn:
    """One object's turn.

    Attributes:
        awaited: those that wait for it.
        passed: those that it has let go first.
        patient: whether it waits for anybody; one that failed ends that.
        by: what is due by this time goes first (ms since 1970).
    """

    awaited: frozenset[Name] = frozenset()
    passed: set[Name] = field(factory=set)
    patient: bool = True
    by: int = 0

    def of(self, name: Name, who: Name) -> Turn:
        """The turn of another one, for which this one waits."""
        self.passed.add(name)
        return Turn(self.awaited | {who})


@frozen(kw_only=True)
class Order:
    """Tells what goes first. Every method raises NotDurable while the store is away."""

    store: Owed
    seen: Seen
    breakers: Breakers
    clock: Callable[[], datetime]

    async def before(self, errand: Errand, name: Name, turn: Turn) -> Sequence[Name]:
        """What an object lets go first, if it is due: of a location the tariffs that it names towards this link."""
        link = errand.link
        if name.module is not Module.LOCATIONS or errand.said.deleted or not turn.patient:
            return ()
        if not await self.goes_out(link, Module.TARIFFS, turn):
            return ()
        plugs = list(connectors_of(errand.canonical))
        named = [Name(Module.TARIFFS, name.owner, id) for plug in plugs for id in plug.get("tariff_ids") or ()]
        audiences = (link.dialect.policy.tariffs_audience or ()) if link.asks_for_more else ()
        if ids := [apart.id for plug in plugs for apart in asked(plug, audiences)]:
            # What an eMSP asks of its customers is that eMSP's tariff, or the feed's: a connector doesn't say whose.
            owners = await self.store.owners()
            named += [Name(Module.TARIFFS, owner, id) for id in dict.fromkeys(ids) for owner in owners]
        return [each for each in dict.fromkeys(named) if each not in turn.passed and each not in turn.awaited][:_MOST]

    async def leaves(self, link: Link, tariff: Name, turn: Turn, *, hidden: bool = False) -> None:
        """A tariff is about to leave a link: locations that have named it first say that they don't any more.

        Args:
            hidden: it is still there, and only this link may no longer see it: so it is for us to look at them again.

        Raises:
            Early: some of them are due.
        """
        if turn.awaited:
            raise Early(tuple(turn.awaited))
        if not turn.patient or not await self.goes_out(link, Module.LOCATIONS, turn):
            return
        owners = (tariff.owner,) if link.backend or link.our_party(tariff.owner) else our_parties(link)
        found = [name for owner in owners for name in await self.store.locations_of_tariff(owner, tariff.id)]
        rest = [name for name in found if name not in turn.passed]
        seen = await self.seen.sees(link.id, rest) if rest else []
        locations = [name for name, sees in zip(rest, seen, strict=True) if sees]
        if hidden and locations:
            await self.store.owe_all(link.id, locations)
        if due := [each.name for each in await self.store.owed_among(link.id, locations) if each.at <= turn.by]:
            raise Early(due)

    async def goes_out(self, link: Link, module: Module, turn: Turn) -> bool:
        """Whether calls of a module may go out. A trial that is under way is waited for: it is one attempt.

        Where the breaker was open, all that it has kept back goes out soon, whenever that was to be due.
        """
        turn.by = ms(self.clock()) + _SOON_MS
        if self.breakers.is_open(link.id, module):
            turn.by = _EVER
            await self.breakers.trial(link.id, module, within=DELIVERY_S)
        return self.breakers.waits(link.id, module) <= 0
