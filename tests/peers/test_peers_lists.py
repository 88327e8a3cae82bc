"""Lists of simulated peers: the decent way, and each of the odd ones."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from people import NEW, VERSIONS, a_location, a_tariff, peers, registered

from gateway.demo.peers import Peer

SINCE = "2026-01-01T00:00:00Z"


def stocked(version: str, cpo: Peer, count: int = 5) -> list[str]:
    """The CPO has so many tariffs; their ids."""
    for number in range(count):
        cpo.keep("tariffs", a_tariff(version, cpo) | {"id": f"T{number}"})
    return [f"T{number}" for number in range(count)]


@VERSIONS
async def test_pages_by_offset(version: str) -> None:
    """The next page keeps the filters; total and limit are told on each."""
    async with registered(version) as (cpo, emsp):
        ids = stocked(version, cpo)
        first = await emsp.get("tariffs", query={"limit": "2", "date_from": SINCE})
        assert (first.headers["x-total-count"], first.headers["x-limit"]) == ("5", "2")
        url, rel = first.headers["link"].split("; ")
        assert parse_qs(urlsplit(url.strip("<>")).query) == {"limit": ["2"], "offset": ["2"], "date_from": [SINCE]}
        assert rel == 'rel="next"'
        assert [tariff["id"] for tariff in await emsp.pull("tariffs", limit="2", date_from=SINCE)] == ids
        assert cpo.complaints == emsp.complaints == []


async def test_opaque_cursors() -> None:
    """A cursor says nothing to anybody else, and leads on all the same; somebody else's is refused."""
    async with registered(NEW) as (cpo, emsp):
        ids = stocked(NEW, cpo)
        cpo.lists.link_style = "opaque"
        first = await emsp.get("tariffs", query={"limit": "2", "date_from": SINCE})
        assert urlsplit(first.headers["link"].split(">")[0]).query == "cursor=c1"
        assert [tariff["id"] for tariff in await emsp.pull("tariffs", limit="2", date_from=SINCE)] == ids
        assert cpo.complaints == emsp.complaints == []
        assert (await emsp.get("tariffs", query={"cursor": "c99"})).status_code == 2001


@pytest.mark.parametrize(
    ("style", "shape"),
    [
        ("odd", '<{url}?limit=2&offset=2>;title="more, and then more; of it" ; rel=next'),
        ("relative", '<{path}?limit=2&offset=2>; rel="next"'),
        ("loop", '<{url}?limit=2&offset=0>; rel="next"'),
    ],
)
async def test_odd_links(style: str, shape: str) -> None:
    """Links as some servers write them, or as none should: without quotes, relative, or to the same page again."""
    async with registered(NEW) as (cpo, emsp):
        stocked(NEW, cpo)
        cpo.lists.link_style = style  # type: ignore[assignment]
        exchange = await emsp.get("tariffs", query={"limit": "2"})
        url = emsp.counterpart.endpoints["tariffs", "SENDER"]
        assert exchange.headers["link"] == shape.format(url=url, path=urlsplit(url).path)


async def test_lies_and_intruders() -> None:
    """A total that isn't true, and something in the page that is no object."""
    async with registered(NEW) as (cpo, emsp):
        stocked(NEW, cpo, 2)
        cpo.lists.total, cpo.lists.intruder = 1000, {"id": 7}
        exchange = await emsp.get("tariffs")
        assert exchange.headers["x-total-count"] == "1000"
        assert [tariff["id"] for tariff in exchange.data] == ["T0", 7, "T1"]
        assert emsp.complaints


@VERSIONS
async def test_more_than_anybody_holds(version: str) -> None:
    """Generated objects are made as they leave: all in one page, or in pages."""
    async with registered(version) as (cpo, emsp):
        made = []

        def make(index: int) -> dict[str, object]:
            made.append(index)
            return a_location(version, cpo) | {"id": f"L{index}"}

        cpo.generate("locations", 250, make)
        exchange = await emsp.get("locations", query={"limit": "10"})
        assert [location["id"] for location in exchange.data] == [f"L{index}" for index in range(250)]
        assert (exchange.headers["x-limit"], exchange.headers.get("content-length")) == ("250", None)
        assert made == list(range(250))
        cpo.generate("locations", 25, make, at_once=False)
        assert len(await emsp.pull("locations", limit="10")) == 25
        cpo.generate("locations", 0, make)
        assert await emsp.pull("locations") == []
        assert cpo.complaints == emsp.complaints == []


async def test_sessions_need_a_beginning() -> None:
    """Both versions want date_from in a list of sessions."""
    for version in ("2.1.1", NEW):
        async with registered(version) as (cpo, emsp):
            assert (await emsp.get("sessions")).status_code == 2001
            assert await emsp.pull("sessions", date_from=SINCE) == []
            assert len(cpo.complaints) == 1


def test_the_other_end_is_needed_first() -> None:
    """Peers that don't know each other have no endpoints to list."""
    cpo, _ = peers(NEW)
    assert cpo.counterpart.endpoints == {}
