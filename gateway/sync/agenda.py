"""Which lists there are to read: what the files say, for links that are registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attrs import frozen

from gateway.directory import Link
from gateway.model.errors import NotFound
from gateway.model.modules import MODULES, Module, Side
from gateway.model.party import Role
from gateway.ports import Adapter
from gateway.sync.schedule import Plan
from gateway.sync.states import Source

_UNPLANNED: Final = timedelta(days=1)  # of a list that nobody reads but a person now and then


@frozen(kw_only=True)
class Agenda:
    """The lists of each link.

    Attributes:
        registered_at: when a link was registered, in milliseconds since 1970.
        time_zone: in which nights and windows are told, as of now; IANA.
    """

    adapters: Mapping[str, Adapter]
    registered_at: Callable[[str], int]
    time_zone: Callable[[], str]

    def plans(self, link: Link) -> list[Plan]:
        """The lists that are read by themselves."""
        if not in_use(link):
            return []
        wanted = [module for module, use in link.uses.items() if use.accept and use.pull_every is not None]
        return [self._plan(link, source) for module in wanted for source in self._sources(link, module)]

    def meant(self, link: Link, module: Module | None) -> list[Plan]:
        """The lists that a person means: of one module, read by itself or not, or all that are. If none is, all.

        Raises:
            NotFound: there is no such list.
        """
        if module is None and (plans := self.plans(link)):
            return plans
        listed = [
            each
            for each in ([module] if module is not None else link.uses)
            if MODULES[each].ledger and link.accepts(each) and (each, Side.SENDER) in link.dialect.endpoints
        ]
        found = [self._plan(link, source) for each in listed for source in self._sources(link, each)]
        if not found:
            raise NotFound(f"{link.id} has no list of {module or 'anything'} for us")
        return found

    def _plan(self, link: Link, source: Source) -> Plan:
        every = link.uses[source.module].pull_every or _UNPLANNED
        return Plan(
            source=source, every=every, registered=self.registered_at(link.id), policy=link.dialect.policy,
            zone=ZoneInfo(self.time_zone()),
        )  # fmt: skip

    def _sources(self, link: Link, module: Module) -> Iterator[Source]:
        """A list for each party over there; one for all, where the version can't address one of several."""
        if link.hub is not None:
            yield Source(link.id, module, link.hub)
            return
        parties = link.their_parties(supply=MODULES[module].owner is Role.CPO)
        addressed = self.adapters[link.dialect.version].sends_routing_headers
        for party in parties if addressed else parties[:1]:
            yield Source(link.id, module, party)


def in_use(link: Link) -> bool:
    """Whether its lists are read. A pause is about pushes; a link that is suspended is left alone."""
    return link.registered and link.in_service and not link.suspended
