"""Price feeds that we read, and consumers whom we serve prices: files of ``kind: prices``, joined and checked.

They stand among the partners' files, because a person who looks for somebody looks there, and they are no links:
nothing is registered with them, pushed to them or owed to them. So nearly all keys of a partner mean nothing there, and
one that would be ignored is a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Final

from attrs import define, field, frozen

from gateway.model.party import Party
from gateway.model.prices import Audience
from gateway.model.window import Window, days_of
from gateway.settings.claims import Taken
from gateway.settings.files import Consumer, Feed, PartnerFile, Shape
from gateway.settings.files import Window as WindowKeys
from gateway.settings.grammar import keys_of
from gateway.settings.mistakes import Report
from gateway.settings.text import Table
from gateway.settings.urls import check_public

_OWN_KEYS: Final = ("feed", "consumer", "owners")
"""The keys that only files of prices have."""

_KEYS: Final = frozenset({"kind", "name", "allow_private", *_OWN_KEYS})
_WEEK: Final = 7
_FEEDS_ALONE_TELL: Final = (Audience.MSP_RETAIL, Audience.CPO_SUBSCRIPTION)


@frozen(kw_only=True)
class FeedSettings:
    """A price feed as configured.

    Attributes:
        id: the stem of its file.
        version: of its locations.
        connector_prices_url: of the newer shape only.
        token: what we send, with ``scheme``.
        token_in: what opens our door for its status pushes; empty: nothing does.
        window: when it may be read; None: always.
        page_limit: rows to ask for on a page.
        shrink: share of rows that may vanish from one run to the next, 0 to 1.
        dangling: share of the named prices that may be missing, 0 to 1.
        retire_after: how long a tariff that left the feed stays.
        owners: parties by the feed's ``partner_id``.
    """

    id: str
    name: str
    shape: Shape
    version: str
    locations_url: str
    prices_url: str
    connector_prices_url: str | None
    token: str = field(repr=False)
    token_in: tuple[str, ...] = field(default=(), repr=False)
    scheme: str = "Token"
    every: timedelta = timedelta(hours=24)
    window: Window | None = field(factory=Window)
    page_limit: int = 1000
    shrink: float = 0.20
    dangling: float = 0.02
    retire_after: timedelta = timedelta(hours=48)
    owners: Mapping[str, Party] = field(factory=dict)
    allow_private: bool = False


@frozen(kw_only=True)
class ConsumerSettings:
    """Somebody whom we serve prices.

    Attributes:
        id: the stem of its file.
        token_in: tokens that open ``/eco-movement`` for it.
        audience: whose prices it sees.
        redistribute: whether it sees what came from a feed.
    """

    id: str
    name: str
    token_in: tuple[str, ...] = field(repr=False)
    audience: frozenset[Audience] = frozenset({Audience.ADHOC})
    redistribute: bool = False


@define
class Prices:
    """Joins files of ``kind: prices`` to feeds and consumers. Call ``partner`` for each of them."""

    report: Report
    taken: Taken
    feeds: list[FeedSettings] = field(factory=list)
    consumers: list[ConsumerSettings] = field(factory=list)

    def partner(self, id_: str, file: PartnerFile) -> None:
        """A feed, or a consumer: which of the two its file says."""
        self.taken.id(id_, file.at.place)
        if "feed" in file.at and "consumer" in file.at:
            place = file.at.entries["consumer"].place
            self.report.add(place, "a file has a `feed` or a `consumer`: write one file for each")
        elif file.feed is not None:
            self._feed(id_, file, file.feed)
        elif file.consumer is not None:
            self._consumer(id_, file, file.consumer)
        elif not {"feed", "consumer"} & file.at.broken:
            text = "`kind: prices` needs `feed`, which we read, or `consumer`, whom we serve: write one of the two"
            self.report.add(file.at.place, text)

    def _feed(self, id_: str, file: PartnerFile, feed: Feed) -> None:
        self._check_shape(feed)
        if not file.allow_private:
            for name in ("locations_url", "prices_url", "connector_prices_url"):
                if (url := getattr(feed, name)) is not None:
                    check_public(url, feed.at.place_of(name), self.report)
        self.taken.tokens(id_, feed.token_in, feed.at.place_of("token_in"))
        self.feeds.append(
            FeedSettings(
                id=id_,
                name=file.name or id_,
                shape=feed.shape,
                version=feed.version,
                locations_url=feed.locations_url,
                prices_url=feed.prices_url,
                connector_prices_url=feed.connector_prices_url,
                token=feed.token.value,
                token_in=tuple(secret.value for secret in feed.token_in),
                scheme=feed.scheme,
                every=feed.every,
                window=_hours(feed.window),
                page_limit=feed.page_limit,
                shrink=feed.refuse.shrink,
                dangling=feed.refuse.dangling,
                retire_after=feed.retire_after,
                owners=file.owners,
                allow_private=file.allow_private,
            )
        )

    def _check_shape(self, feed: Feed) -> None:
        """That the newer shape has a list of which price holds where, and that the older one has none."""
        given = "connector_prices_url" in feed.at
        if feed.shape is Shape.NEW and not given:
            place = feed.at.place_of("shape")
            self.report.add(place, "`shape: new` needs `connector_prices_url`: which price holds where, https://...")
        if feed.shape is Shape.OLD and given:
            place = feed.at.entries["connector_prices_url"].place
            self.report.add(place, "`shape: old` has its prices on its locations: remove it, or write `shape: new`")

    def _consumer(self, id_: str, file: PartnerFile, consumer: Consumer) -> None:
        if "owners" in file.at:
            self.report.add(file.at.entries["owners"].place, "`owners` is for feeds: remove it")
        self.taken.tokens(id_, consumer.token_in, consumer.at.place_of("token_in"))
        unseen = [audience for audience in consumer.audience if audience in _FEEDS_ALONE_TELL]
        if unseen and not consumer.redistribute and "redistribute" not in consumer.at.broken:
            text = f"only feeds tell prices of {', '.join(unseen)}: none is shown without `redistribute: true`"
            self.report.warn(consumer.at.place_of("audience"), text)
        self.consumers.append(
            ConsumerSettings(
                id=id_,
                name=file.name or id_,
                token_in=tuple(secret.value for secret in consumer.token_in),
                audience=frozenset(consumer.audience),
                redistribute=consumer.redistribute,
            )
        )


def meaningful(table: Table, report: Report) -> Table:
    """The table of a file of ``kind: prices`` without the keys that only links have; each of them is a mistake."""
    known = keys_of(PartnerFile)
    kept = {}
    for name, entry in table.entries.items():
        if name in known and name not in _KEYS:
            report.add(entry.place, f"`{name}` means nothing in a file of kind prices: remove it")
        else:
            kept[name] = entry
    return Table(table.place, kept)


def check_not_of_prices(file: PartnerFile, report: Report) -> None:
    """That a partner of another kind has no keys of price files."""
    for name in _OWN_KEYS:
        if name in file.at:
            report.add(file.at.entries[name].place, f"`{name}` is for prices: remove it, or write `kind: prices`")


def _hours(said: WindowKeys) -> Window | None:
    """When a feed may be read; None: always, in whichever words that is said."""
    start, end = time.fromisoformat(said.from_), time.fromisoformat(said.to)
    days = days_of(said.days)
    if len(days) == _WEEK and start == end:
        return None
    return Window(days=days, start=start, end=end, time_zone=said.time_zone)
