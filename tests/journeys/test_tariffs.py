"""Tariffs, from an operator's core to its eMSPs and from operators to an eMSP's core."""

from __future__ import annotations

from scenes import ACME, EITHER_CORE, EXA, NEW, OLD, TWO, VOLT, Begin, heard, operator, owned, provider, settled, thing

LATER = "2026-02-03T12:00:00Z"
LATEST = "2026-02-04T12:00:00Z"


@EITHER_CORE
async def test_our_tariff_comes_and_goes_at_emsps_of_both_versions_check_39(world: Begin, core: str) -> None:
    """A tariff with everything in it arrives at every eMSP in its own version; its DELETE takes it away again."""
    stage = await world(ACME, VOLT, backend=operator(core))
    assert (await stage.backend.push_tariff(thing("tariff", core))).http == 201
    old = await stage["acme"].wait_for("PUT", "tariffs")
    assert (old.segments, old.body) == (("NLD", "EXA", "T-DAY"), thing("tariff", core, OLD))
    new = await stage["volt"].wait_for("PUT", "tariffs")
    assert (new.segments, new.body) == (("NL", "EXA", "T-DAY"), thing("tariff", core, NEW))
    await settled(stage)

    assert (await stage.backend.delete_tariff("T-DAY")).status_code == 1000
    await settled(stage)
    assert stage["acme"].objects["tariffs"] == stage["volt"].objects["tariffs"] == {}


@EITHER_CORE
async def test_a_tariff_that_is_not_there_cannot_be_deleted(world: Begin, core: str) -> None:
    """404 for the core, and no eMSP hears of it."""
    stage = await world(ACME, VOLT, backend=operator(core))
    assert (await stage.backend.delete("tariffs", "NL", "EXA", "T-DAY")).http == 404
    await settled(stage)
    assert not [got for name in ("acme", "volt") for got in stage[name].received if got.module == "tariffs"]


async def test_a_patched_tariff_is_put_where_tariffs_have_no_patch_trap_35(world: Begin) -> None:
    """Only 2.1.1 has a PATCH of tariffs: its eMSPs get the PATCH, those on 2.2.1 the whole tariff."""
    stage = await world(ACME, VOLT, backend=operator(OLD))
    tariff = thing("tariff", OLD)
    await stage.backend.push_tariff(tariff)
    await settled(stage)
    change = {"currency": "SEK", "last_updated": LATER}
    assert (await stage.backend.patch("tariffs", "NL", "EXA", "T-DAY", body=change)).status_code == 1000
    assert (await stage["acme"].wait_for("PATCH", "tariffs")).body == change
    got = await stage["volt"].wait_for("PUT", "tariffs", count=2)
    assert got.body == thing("tariff", OLD, NEW) | change


async def test_a_tariff_for_ad_hoc_payment_stays_off_2_1_1(world: Begin) -> None:
    """2.1.1 would read the price for passers-by as a roaming price; 2.2.1 says what it is and gets it."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    assert (await stage.backend.push_tariff(thing("tariff", NEW) | {"type": "AD_HOC_PAYMENT"})).ok
    assert (await stage["volt"].wait_for("PUT", "tariffs")).body["type"] == "AD_HOC_PAYMENT"
    await settled(stage)
    assert stage["acme"].objects["tariffs"] == {}


async def test_a_tariff_that_turns_ad_hoc_is_deleted_where_it_may_not_be(world: Begin) -> None:
    """A tariff that may no longer be shown is withdrawn with a DELETE, and comes back when it may be shown again."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    regular = thing("tariff", NEW)
    await stage.backend.push_tariff(regular)
    await settled(stage)
    assert (await stage.backend.push_tariff(regular | {"type": "AD_HOC_PAYMENT", "last_updated": LATER})).ok
    await stage["acme"].wait_for("DELETE", "tariffs")
    await settled(stage)
    assert stage["acme"].objects["tariffs"] == {}
    assert stage["volt"].stored.with_id("tariffs", "T-DAY")["type"] == "AD_HOC_PAYMENT"
    assert (await stage.backend.push_tariff(regular | {"last_updated": LATEST})).ok
    got = await stage["acme"].wait_for("PUT", "tariffs", count=2)
    assert got.body == thing("tariff", NEW, OLD) | {"last_updated": LATEST}


@EITHER_CORE
async def test_a_tariff_for_one_emsp_shadows_the_general_one_until_it_is_deleted(world: Begin, core: str) -> None:
    """A price for one eMSP is that eMSP's alone; its DELETE shows the general price again."""
    stage = await world(ACME, VOLT, backend=operator(core))
    acme, volt = stage["acme"], stage["volt"]

    def currency(of: str) -> str:
        return str(stage[of].stored.with_id("tariffs", "T-DAY")["currency"])

    await stage.backend.push_tariff(thing("tariff", core))
    special = thing("tariff", core) | {"currency": "SEK", "last_updated": LATER}
    assert (await stage.backend.push_tariff(special, to=("DE", "ACM"))).ok
    await settled(stage)
    assert (currency("acme"), currency("volt")) == ("SEK", "EUR")
    assert len([got for got in volt.received if got.module == "tariffs"]) == 1

    general = thing("tariff", core) | {"currency": "NOK", "last_updated": LATEST}
    assert (await stage.backend.push_tariff(general)).ok
    await settled(stage)
    assert (currency("acme"), currency("volt")) == ("SEK", "NOK")

    assert (await stage.backend.delete("tariffs", "NL", "EXA", "T-DAY", to=("DE", "ACM"))).ok
    await settled(stage)
    assert (currency("acme"), currency("volt")) == ("NOK", "NOK")
    assert not [got for got in (*acme.received, *volt.received) if got.method == "DELETE"]


@EITHER_CORE
async def test_a_tariff_that_only_one_emsp_had_is_deleted_there(world: Begin, core: str) -> None:
    """Without a general tariff behind it, the end of one eMSP's own tariff is a DELETE."""
    stage = await world(ACME, VOLT, backend=operator(core))
    for name, party in (("acme", ("DE", "ACM")), ("volt", ("DE", "VLT"))):
        assert (await stage.backend.push_tariff(thing("tariff", core), to=party)).ok
        await stage[name].wait_for("PUT", "tariffs")
        await settled(stage)
        assert (await stage.backend.delete("tariffs", "NL", "EXA", "T-DAY", to=party)).status_code == 1000
        await settled(stage)
        assert stage[name].objects["tariffs"] == {}


@EITHER_CORE
async def test_a_broadcast_reaches_everyone_opposite(world: Begin, core: str) -> None:
    """Addressed to the gateway's own hub party, a tariff goes to every eMSP."""
    stage = await world(ACME, VOLT, backend=operator(core))
    answer = await stage.backend.push_tariff(thing("tariff", core), to=("NL", "GWY"))
    assert answer.status_code == 1000
    assert answer.headers["ocpi-from-party-id"] == "GWY"
    assert answer.headers["ocpi-to-party-id"] == "EXA"
    await stage["acme"].wait_for("PUT", "tariffs")
    await stage["volt"].wait_for("PUT", "tariffs")


# Towards an eMSP's core -----------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_tariffs_of_operators_come_to_our_core_and_go(world: Begin, core: str) -> None:
    """An operator's tariff is at the core, in the core's version, when the operator reads 1000; so is its end."""
    stage = await world(EXA, TWO, backend=provider(core))
    for name, version in (("exa", OLD), ("two", NEW)):
        party = stage[name].party[1]
        assert (await stage[name].push_tariff(owned(thing("tariff", version), party))).http == 201
        assert stage.backend.objects["tariffs"] == {f"NL/{party}/T-DAY": owned(thing("tariff", version, core), party)}
        assert (await stage[name].delete_tariff("T-DAY")).status_code == 1000
        assert stage.backend.objects["tariffs"] == {}
        assert (await stage[name].delete("tariffs", *stage[name].party, "T-DAY")).http == 404


@EITHER_CORE
async def test_an_operators_tariff_patch_reaches_our_core_check_36_trap_35(world: Begin, core: str) -> None:
    """A 2.1.1 operator's PATCH of a tariff is a PUT of the whole for a core on 2.2.1, a PATCH for one on 2.1.1.

    On our own 2.2.1 endpoint it is 405.
    """
    stage = await world(EXA, TWO, backend=provider(core))
    await stage["exa"].push_tariff(thing("tariff", OLD))
    assert (await stage["exa"].patch("tariffs", "NLD", "EXA", "T-DAY", body={"currency": "SEK"})).status_code == 1000
    got = heard(stage.backend)[-1]
    assert got.method == ("PATCH" if core == OLD else "PUT")
    stored = stage.backend.stored.with_id("tariffs", "T-DAY")
    assert stored == thing("tariff", OLD, core) | {"currency": "SEK", "last_updated": stored["last_updated"]}
    assert stored["last_updated"] > thing("tariff", OLD)["last_updated"]

    await stage["two"].push_tariff(owned(thing("tariff", NEW), "TWO"))
    refused = await stage["two"].patch("tariffs", "NL", "TWO", "T-DAY", body={"currency": "SEK", "last_updated": LATER})
    assert refused.http == 405
    assert "PATCH" not in refused.headers["allow"]
