"""CDRs that somebody else has billed already, and CDRs that come again with other content."""

from __future__ import annotations

from attrs import evolve
from scenes import (
    ACME,
    EITHER_CORE,
    EXA,
    NEW,
    OLD,
    TWO,
    VOLT,
    Begin,
    at_volt,
    operator,
    owned,
    provider,
    settled,
    thing,
)  # fmt: skip
from test_kept import billed

from gateway.demo.world import World

ENDS = {OLD: "stop_date_time", NEW: "end_date_time"}


async def roaming(world: Begin, core: str, more: str = "") -> World:
    stage = await world(evolve(ACME, more=more), evolve(VOLT, more=more), backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    return stage


@EITHER_CORE
async def test_what_ended_before_the_cut_over_is_listed_and_not_posted(world: Begin, core: str) -> None:
    """The system before us has billed it; from ``deliver_since`` on, we do."""
    ended = thing("cdr", core)[ENDS[core]]
    stage = await roaming(world, core, f'cdrs: {{deliver_since: "{ended.removesuffix("Z")}Z"}}\n')
    for place, cdr in enumerate((thing("cdr", core), at_volt(thing("cdr", core)))):
        early = cdr | {"id": f"EARLY-{place}", ENDS[core]: cdr["start_date_time"]}
        assert (await stage.backend.push_cdr(early)).http == 201
        assert (await stage.backend.push_cdr(cdr | {"id": f"SINCE-{place}"})).http == 201
    for place, name in enumerate(("acme", "volt")):
        await stage[name].wait_for("POST", "cdrs")
        await settled(stage)
        assert [key.rpartition("/")[2] for key in stage[name].objects["cdrs"]] == [f"SINCE-{place}"]
        assert {cdr["id"] for cdr in await stage[name].pull("cdrs")} == {f"EARLY-{place}", f"SINCE-{place}"}


@EITHER_CORE
async def test_a_revised_cdr_replaces_the_first_where_the_core_corrects_that_way(world: Begin, core: str) -> None:
    """Under the same id, to whoever had it; elsewhere the first is kept (check 53)."""
    revising = evolve(operator(core), more="quirks: {cdrs.duplicate: revise}\n")
    stage = await world(ACME, VOLT, backend=revising)
    await stage.backend.push_location(thing("location", core))
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    for name, cdr in (("acme", thing("cdr", core)), ("volt", at_volt(thing("cdr", core)) | {"id": "C-502"})):
        stage[name].take_revisions()
        assert (await stage.backend.push_cdr(cdr)).http == 201
        await stage[name].wait_for("POST", "cdrs")
        await settled(stage)
        assert (await stage.backend.push_cdr(cdr | {"total_energy": 19})).status_code == 1000
        assert (await stage[name].wait_for("POST", "cdrs", count=2)).body["total_energy"] == 19
        await settled(stage)
        assert (await stage.backend.push_cdr(cdr | {"total_energy": 19})).status_code == 1000
    await settled(stage)
    assert [len([got for got in stage[name].received if got.module == "cdrs"]) for name in ("acme", "volt")] == [2, 2]


@EITHER_CORE
async def test_an_operators_revised_cdr_reaches_our_core(world: Begin, core: str) -> None:
    """Live, as the first did."""
    more = "quirks: {cdrs.duplicate: revise}\n"
    stage = await world(evolve(EXA, more=more), evolve(TWO, more=more), backend=provider(core))
    stage.backend.take_revisions()
    await stage.backend.push_token(thing("token", core))
    for name, version in (("exa", OLD), ("two", NEW)):
        party = stage[name].party[1]
        await stage[name].push_location(owned(thing("location", version), party))
        cdr = billed(thing("cdr", version), party)
        assert (await stage[name].push_cdr(cdr)).http == 201
        assert (await stage[name].push_cdr(cdr | {"total_energy": 19})).status_code == 1000
        assert [got.body["total_energy"] for got in stage.backend.received if got.module == "cdrs"][-1] == 19
