"""``ocpi-gateway demo``: what it tells, when it is content and when it isn't."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from processes import Installation

from gateway.demo.chapters import plot
from gateway.demo.story import CAST, consumers, sources
from gateway.demo.telling import Begins, Story, differences
from gateway.demo.world import World
from gateway.telemetry import watching

Begin = Callable[..., Awaitable[World]]

CHAPTERS = [
    "1. Everybody registers", "2. Who is there", "3. A tariff and two locations", "4. Cards", "5. May they charge?",
    "6. Acme's driver starts from the app (2.1.1)", "7. Volt's driver stops from the app (2.2.1)",
    "8. A driver of an eMSP behind the hub (2.2.1)", "9. Reading", "10. Prices of a feed",
    "11. New keys",
]  # fmt: skip


async def stage(world: Begin) -> World:
    """Everybody whom the story is about."""
    return await world(*CAST, feeds=sources(), consumers=consumers())


async def played(scene: World) -> tuple[Story, list[str]]:
    """The story in a world, and its lines."""
    lines: list[str] = []
    story = Story(lines.append)
    with watching(story.crossed):
        await story.play(scene, plot(scene))
    return story, "\n".join(lines).splitlines()


async def test_everything_arrives_as_it_must(world: Begin) -> None:
    """Nothing is wrong, every chapter is told, and no line is broader than a terminal."""
    story, lines = await played(await stage(world))
    assert story.wrong == []
    assert [line for line in lines if re.match(r"\d", line)] == CHAPTERS
    assert [line for line in lines if len(line) > 100] == []


async def test_each_line_says_who_what_and_what_was_lost(world: Begin) -> None:
    """A message that crosses, one that the gateway answers itself, and the values that 2.1.1 has no room for."""
    _, lines = await played(await stage(world))
    assert "     acme 2.1.1 -> 2.2.1 backend  POST commands/START_SESSION 1000  nothing lost" in lines
    assert "  backend 2.2.1 -> 2.1.1 acme     POST commands/callback      1000  nothing lost" in lines
    assert "  backend 2.2.1 -> 2.2.1 hub      POST cdrs                   1000  nothing lost" in lines
    assert "  backend 2.2.1 -> 2.1.1 acme     PATCH locations             1000  nothing lost" in lines  # its EVSE alone
    assert "     acme 2.1.1 ->       gateway  GET locations               1000  page 2 of 2" in lines
    assert "        gateway -> 2.2.1 volt     PUT credentials             1000  new tokens for both" in lines
    tariff = lines.index("  backend 2.2.1 -> 2.1.1 acme     PUT tariffs                 1000  lost: /type /min_price")
    assert lines[tariff + 1].strip() == "/elements/*/price_components/*/vat (x2)"


async def test_another_answer_is_wrong_and_the_story_goes_on(world: Begin) -> None:
    """A driver who may not charge where the story says that she may: it says so, and ends with the last chapter."""
    scene = await stage(world)
    scene["volt"].decide("04F017BEEF", "BLOCKED")
    story, lines = await played(scene)
    assert story.wrong
    assert all(wrong.startswith("Volt's card: the answer") for wrong in story.wrong)
    assert CHAPTERS[-1] in lines


async def test_a_refusal_is_wrong(world: Begin) -> None:
    """Whoever gets the right thing and refuses it is told of as well."""
    scene = await stage(world)
    scene["hub"].fail("tariffs", "PUT", status=2001)
    story, _ = await played(scene)
    assert story.wrong[0] == "the tariff, at hub: its status: $: 2001, not 1000"


async def test_kept_it_stays_until_it_is_interrupted(tmp_path: Path) -> None:
    """With ``--keep`` it prints where health is, which answers; Ctrl-C ends it well."""
    process = await Installation(tmp_path).start("demo", "--keep")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            while not (found := re.search(rb"http://\S+/ready", await process.stdout.readline())):
                assert not process.stdout.at_eof()
            async with aiohttp.ClientSession() as session, session.get(found[0].decode()) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("got", "must", "told"),
    [
        ({"a": [1, 2.0]}, {"a": (1.0, 2)}, []),
        ({"a": 1}, {"b": 1}, ["$.a: not expected", "$.b: missing"]),
        ([1], [1, 2], ["$: 1 items instead of 2"]),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]}, ["$.a[0].b: 'x', not 'y'"]),
        (True, 1, ["$: True, not 1"]),
        ("2026-01-01T00:00:00Z", Begins("20"), []),
        (None, Begins("http"), ["$: None, which doesn't begin with 'http'"]),
    ],
)
def test_differences_are_found_to_the_last_field(got: object, must: object, told: list[str]) -> None:
    """Missing, unexpected and other values are each a sentence with its place; numbers compare by value."""
    assert differences(got, must) == told
