"""Worlds of every shape: several backends, several gateways, hubs, platforms that speak both versions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from people import NEW, OLD, a_location

from gateway.demo.peers import Role
from gateway.demo.world import CORE, Cast, World
from gateway.model.party import Party

Begin = Callable[..., Awaitable[World]]
MOBILITY = Cast(
    name="mobility", version=OLD, role="EMSP", country="NL", party="EXM", business="Example Mobility", start="none"
)
VOLT = Cast(name="volt", country="DE", party="VLT", start="none")


async def test_several_backends(world: Begin) -> None:
    """Each has a file of its own; what one of them pushes is its own party's."""
    stage = await world(VOLT, backends=(CORE, MOBILITY))
    assert list(stage.backends) == ["backend", "mobility"]
    assert stage.backend.party == ("NL", "EXA")
    assert stage.backends["mobility"].counterpart.hub
    assert (await stage.backend.push_location(a_location(NEW, stage.backend))).ok
    await stage["volt"].wait_for("PUT", "locations")


async def test_several_gateways(world: Begin) -> None:
    """They share a Redis; a peer can be sent through any of them, and one can be stopped while another goes on."""
    stage = await world(VOLT, gateways=2)
    first, second = stage.gateways
    assert stage.gateway is first
    assert first.ocpi != second.ocpi
    stage.through(stage.backend, 1)
    await stage.stop(0)
    assert (await stage.backend.push_location(a_location(NEW, stage.backend))).ok
    await stage["volt"].wait_for("PUT", "locations")
    await stage.restart()
    assert len(stage.gateways) == 2


async def test_a_hub_on_each_version(world: Begin) -> None:
    """A hub's file says that it is one, on 2.1.1 too, where its credentials can't."""
    new = Cast(name="new-hub", kind="hub", country="FR", party="HUB", behind=(Role("EMSP", "BE", "BEM", "Belgium"),))
    old = Cast(
        name="old-hub", version=OLD, kind="hub", country="DE", party="OHB", reaches=("FR-FRM",), routing_headers=True,
        behind=(Role("EMSP", "FR", "FRM", "France"),),
    )  # fmt: skip
    stage = await world(new, old)
    assert [role.role for role in stage["new-hub"].who.roles] == ["HUB"]
    assert [role.role for role in stage["old-hub"].who.roles] == ["EMSP"]
    files = {link.id: link for link in stage.settings.partners}
    assert {str(link.kind) for link in files.values()} == {"hub"}
    assert {str(seat.role) for link in files.values() for seat in link.theirs} == {"HUB"}
    assert (files["new-hub"].reaches, files["old-hub"].reaches) == (None, {Party("FR", "FRM")})


async def test_a_platform_that_speaks_both_versions(world: Begin) -> None:
    """Its file offers both; it begins with the one that is its ``version``."""
    both = Cast(name="both", version=OLD, also_version=NEW, country="DEU", party="ACM")
    stage = await world(both)
    assert stage["both"].who.version == OLD
    assert stage["both"].counterpart.roles[0].party[1] == "EXA"
