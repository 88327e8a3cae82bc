"""The page of keys is true: what is in Redis after using all of the store stands on it, with its type."""

from __future__ import annotations

import re

import pytest

from gateway.model.modules import Module
from gateway.model.names import CdrState, Name, Sent
from gateway.model.party import Party
from gateway.model.prices import Audience
from gateway.store import keys
from gateway.store.keys import Keys, party_of, tag_of
from gateway.store.redis import Store

EXA = Party("NL", "EXA")
LOCATION, CDR = Name(Module.LOCATIONS, EXA, "LOC1"), Name(Module.CDRS, EXA, "CDR1")
TARIFF = Name(Module.TARIFFS, EXA, "T1")
SESSION, TOKEN = Name(Module.SESSIONS, EXA, "S1"), Name(Module.TOKENS, EXA, "T1", "RFID")

# What the words of the page stand for in a key. A name has colons in it, and so has a token's id: uid:TYPE.
WORDS = {
    "{OWNER}": r"\{[A-Z-]+\}",
    "{link}": r"\{[a-z]+\}",
    "{feed}": r"\{prices%3A[a-z]+\}",
    "{view}": r"\{[a-z_%0-9A-F]+\}",
    "{list}": r"\{[\w%.*-]+\}",
    "name": r"[a-z]*:?[^{}]+",
    "module": "[a-z]+",
    "{part}": r"\{[0-9a-f]{4}\}",
    "id": "[^:{}]+(:[^:{}]+)?",
}


def rows() -> list[tuple[str, str, re.Pattern[str]]]:
    """Each row of the page: the key as it stands there, its type, and the keys that it means."""
    found = re.findall(r"^og:(\S+)\n? +(hash|zset|set|string|stream|channel) ", keys.__doc__ or "", re.MULTILINE)
    return [(f"og:{key}", kind, re.compile("og:" + _pattern(key))) for key, kind in found]


def _pattern(key: str) -> str:
    kind, *words = key.split(":")
    return ":".join([kind, *(WORDS.get(word, r"[^:{}]+") for word in words)])


async def use_everything(store: Store) -> None:
    """Whatever leaves a key behind."""
    await store.recognise()
    for name, variant in ((LOCATION, None), (LOCATION, "acme"), (TOKEN, None), (CDR, None)):
        await store.say(name, b"{}", b"{}", "2.2.1", "core", None, ["acme"], variant)
    await store.spread(LOCATION)
    await store.spread(CDR)
    (due,) = await store.due("acme", store.now(), 1)
    await store.settle("acme", due, Sent(wire=b"{}", version="2.1.1", sequence=1), again_ms=1)
    await store.owe("volt", LOCATION, 1)
    await store.hold("volt", (await store.due("volt", 1, 1))[0], "withheld", "")
    await store.owe("acme", TARIFF, 1)
    (failed,) = [due async for due in store.owed_entries("acme") if due.name == TARIFF]
    await store.postpone("acme", failed, 5)
    await store.cdr_owe("volt", CDR, 1)
    await store.cdr_move("volt", CDR, [CdrState.PENDING], CdrState.DELIVERED)
    await store.lease("acme", "me", 60_000)
    await store.see("acme", LOCATION, 1, among=EXA)
    for token in (TOKEN, Name(Module.TOKENS, EXA, "T1", "OTHER")):
        await store.index_token(token, "NL-EXA-C1")
    await store.index_session(SESSION, "NL-EXA-C1")
    await store.index_location(LOCATION, ["T1"])
    await store.register("acme", 0, b"", {"digest": b""}, ())
    await store.cred_key()
    await store.remember("cb1", b"", 60)
    await store.remember("cdr1", b"", None)
    await store.claim("command-1", b"", 60)
    await store.set_deadline("command-1", 1)
    await store.reservation_number("acme", EXA, "R1")
    await store.subscribe(SESSION, "acme", ttl=60)
    await store.client_put("acme", "NL-EXA:CPO", b"")
    await store.set_fact("acme", "paused", b"")
    await store.pull_keep("acme:tokens:NL-EXA", b"")
    await store.pull_listed("acme:tokens:NL-EXA", "1", [TOKEN])
    await store.view_keep("adhoc+feeds", b"", ["prices.1"])
    await store.shelve("adhoc+feeds", "prices.1", [])
    await store.shelf_use("adhoc+feeds", "prices.1", further=True)
    await store.stage_locations("eco", "1", [("L1", b"{}")])
    await store.feed_keep("eco", b"", run="1")
    await store.status_keep("eco", "L1", "E1", b"{}", former=None)
    await store.attach("eco", EXA, {"E1:1": {Audience.ADHOC: ["T1"]}})
    await store.imported_keep("eco", {TARIFF: None})
    await store.command("SET", store.keys.cache(), b"mark")  # as test_cache_split has it


async def test_every_key_is_on_the_page_and_every_row_is_used(store: Store) -> None:
    """No key without a row, no row without a key, and each of the type that the page gives it."""
    async with store.lane("acme", LOCATION, 1000):
        await use_everything(store)
        found = {key.decode(): (await store.command("TYPE", key)).decode() for key in await store.command("KEYS", "*")}
    page = [row for row in rows() if row[1] != "channel"]
    used = set()
    for key, kind in found.items():
        matching = {row for row, its_kind, pattern in page if pattern.fullmatch(key) and its_kind == kind}
        assert matching, (key, kind)
        used |= matching
    assert {row for row, _, _ in page} - used == set()


@pytest.mark.parametrize("owner", [EXA, Party("DE", "A-C"), Party("NL", "É:{")])
def test_the_owner_in_a_key_leads_back_to_the_party(owner: Party) -> None:
    """Whatever its codes are made of."""
    assert party_of(tag_of(owner)) == owner


def test_everything_of_one_script_shares_a_tag() -> None:
    """What an owner has said, and what a link may list, each lie in one slot."""
    made = Keys("og")
    assert made.all("NL-EXA", Module.LOCATIONS) == "og:all:{NL-EXA}:locations"
    assert made.all_rank("NL-EXA") == "og:all:{NL-EXA}"
    assert made.profiled(SESSION) == "og:profiled:{NL-EXA}:sessions:S1"
    assert made.seen("acme", "locations:NL-EXA") == "og:seen:{acme}:locations:NL-EXA"
    assert made.seen_at("acme", "locations") == "og:seenat:{acme}:locations"
    assert made.seen_parts("acme") == "og:seen:{acme}"
