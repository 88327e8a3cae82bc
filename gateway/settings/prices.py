"""Price feeds that we read, and consumers whom we serve prices: files of ``kind: prices``, joined and checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from attrs import field, frozen

from gateway.model.party import Party
from gateway.model.prices import Audience
from gateway.model.window import Window
from gateway.settings.files import Shape


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
