"""A small market: a square of ours that a price feed knows, partners who ask for different prices, and readers.

The backend's square has three EVSEs; the feed knows the first (two connectors) and the second, in one location of its,
and twenty connectors of others besides. Every connector of ours names the backend's tariff, which is for eMSPs.

* ``acme`` (2.1.1) and ``volt`` (2.2.1) ask for nothing: acme gets wholesale tariffs, volt those and ad hoc ones.
* ``kiosk`` (2.1.1) asks for ad hoc prices only, ``broker`` (2.2.1) for everything.
* ``all`` reads whatever there is, the feed's prices too; ``app`` what an app without a licence may see.

``seen`` is all of what these five have and can read at one moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any, Final

from attrs import evolve

from gateway.demo.consumer import Consumer
from gateway.demo.feed import Feed, Own
from gateway.demo.peers import Peer
from gateway.demo.world import Cast, Source, World, shut
from gateway.prices.states import Report

Json = dict[str, Any]
Begin = Callable[..., Awaitable[World]]

FEED: Final = "eco"
OURS: Final = (Own("NL*EXA*E1", ("1", "2")), Own("NL*EXA*E2"))
CONNECTORS: Final = 23
AUDIENCES: Final = ("wholesale", "adhoc", "msp_retail", "cpo_subscription")
WHEN: Final = "2026-03-02T09:00:00Z"

ACME: Final = Cast(
    name="acme", version="2.1.1", country="DEU", party="ACM", business="Acme Mobility", others_tariffs=True
)
KIOSK: Final = Cast(
    name="kiosk", version="2.1.1", country="FRA", party="KIO", business="Kiosk",
    more="quirks: {tariffs.audience: [adhoc]}\n",
)  # fmt: skip
VOLT: Final = Cast(name="volt", version="2.2.1", country="DE", party="VLT", business="Volt Drive")
BROKER: Final = Cast(
    name="broker", version="2.2.1", country="BE", party="BRO", business="Broker", others_tariffs=True,
    more=f"quirks: {{tariffs.audience: [{', '.join(AUDIENCES)}]}}\n",
)  # fmt: skip
EVERYBODY: Final = (ACME, KIOSK, VOLT, BROKER)

OLD_PRICES: Final = "/eco-movement/2.1.1/prices"
LOCATIONS: Final = "/eco-movement/2.1.1/locations"
PRICES: Final = "/eco-movement/prices"
CONNECTOR_PRICES: Final = "/eco-movement/prices/connector_prices"
PATHS: Final = (OLD_PRICES, LOCATIONS, PRICES, CONNECTOR_PRICES)


def source(shape: Any = "new", version: Any = "2.1.1", *, keys: str = "", **feed: Any) -> Source:
    """The feed, read when a test says so."""
    all_keys = ", ".join(filter(None, (shut(), keys)))
    return Source(
        feed=Feed("eco-key", connectors=CONNECTORS, own=OURS, **feed), shape=shape, version=version, keys=all_keys
    )


async def market(begin: Begin, *casts: Cast, read: Source | None = None, **options: Any) -> World:
    """The market, our tariff and our square known to everybody; nothing of the feed is read yet."""
    readers = {"all": Consumer("all-token", AUDIENCES, redistribute=True), "app": Consumer("app-token")}
    world = await begin(*(casts or EVERYBODY), feeds={FEED: read or source()}, consumers=readers, **options)
    assert (await world.backend.push_tariff(standard())).ok
    assert (await world.backend.push_location(square())).ok
    await settled(world)
    return world


def standard() -> Json:
    """What the backend asks of eMSPs."""
    return {
        "country_code": "NL", "party_id": "EXA", "id": "STANDARD", "currency": "EUR", "type": "REGULAR",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.25, "vat": 21, "step_size": 1}]}],
        "last_updated": WHEN,
    }  # fmt: skip


def square(*, tariffs: tuple[str, ...] = ("STANDARD",), when: str = WHEN) -> Json:
    """Our square, each connector with these tariffs of the backend."""

    def connector(id: str) -> Json:
        return {
            "id": id, "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE", "max_voltage": 230,
            "max_amperage": 32, "tariff_ids": list(tariffs), "last_updated": when,
        }  # fmt: skip

    def evse(number: int, *connectors: str) -> Json:
        return {
            "uid": f"U{number}", "evse_id": f"NL*EXA*E{number}", "status": "AVAILABLE",
            "connectors": [connector(id) for id in connectors], "last_updated": when,
        }  # fmt: skip

    return {
        "country_code": "NL", "party_id": "EXA", "id": "SQUARE", "publish": True, "name": "Neude",
        "address": "Neude 11", "city": "Utrecht", "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"}, "time_zone": "Europe/Amsterdam",
        "operator": {"name": "Example Charging"},
        "evses": [evse(1, "1", "2"), evse(2, "1"), evse(3, "1")], "last_updated": when,
    }  # fmt: skip


async def settled(world: World) -> None:
    """Everything that was owed when this is called has been tried."""
    # Twice: a link that was looked at already when the last push came is looked at again.
    await world.gateway.courier.settle_down(5)
    await world.gateway.courier.settle_down(5)


async def imported(world: World) -> Report:
    """The feed is read now, and everybody has what is owed because of it. It must count."""
    report = await reading(world)
    assert report.refused is None
    return report


async def reading(world: World) -> Report:
    """The feed is read now, and everybody has what is owed because of it."""
    report: Report = await world.gateway.prices.read(FEED)
    await settled(world)
    return report


def tariffs_at(peer: Peer, location: str = "SQUARE") -> dict[str, list[str]]:
    """Which tariffs a partner's copy of our square names, by EVSE and connector."""
    place = peer.stored.with_id("locations", location)
    return {
        f"{evse['uid']}/{plug['id']}": plug.get("tariff_ids") or [plug[name] for name in ("tariff_id",) if name in plug]
        for evse in place["evses"]
        for plug in evse["connectors"]
    }


def tariffs_of(peer: Peer) -> set[str]:
    """The ids of the tariffs that a partner has."""
    return {key.rpartition("/")[2] for key in peer.objects["tariffs"]}


async def seen(world: World) -> Json:
    """Everything that anybody outside has of us, or can read: what was pushed, what is listed, what is served."""
    told: Json = {}
    for peer in world.partners.values():
        told[f"{peer.name} has"] = deepcopy({module: peer.objects[module] for module in ("locations", "tariffs")})
        for module in ("locations", "tariffs"):
            told[f"{peer.name} lists {module}"] = [row for page in await peer.pages(module) for row in page.data]
    for name, consumer in world.consumers.items():
        for path in PATHS:
            told[f"{name} reads {path}"] = await consumer.rows(path)
    return told


def asks_for(cast: Cast, *audiences: str) -> Cast:
    """The same partner, asking for tariffs for these."""
    return evolve(cast, more=f"quirks: {{tariffs.audience: [{', '.join(audiences)}]}}\n")
