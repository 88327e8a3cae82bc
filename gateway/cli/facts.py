"""Facts from a file, for `translate`: what a running gateway would look up in its store.

One JSON object, every member optional, objects in the shape of the newest version::

    {"locations": [...], "tariffs": [...], "tokens": [...], "sessions": [...],
     "receiver": "DE-ACM",                 the eMSP of a token that nobody knows
     "role": "CPO",                        of credentials on the way up
     "reservation_ids": {"R-7": 41},       the numbers that stand for reservations
     "now": "2026-01-05T10:00:00Z"}        the moment at which choices are made

What isn't in the file counts as looked up and not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field, frozen

from gateway.model.country import alpha_2
from gateway.model.document import CLASSES, validate
from gateway.model.errors import InvalidObject
from gateway.model.facts import FactKind, Facts, Key
from gateway.model.modules import Kind
from gateway.model.party import Party

_LISTS: Final = {
    "locations": Kind.LOCATION,
    "tariffs": Kind.TARIFF,
    "tokens": Kind.TOKEN,
    "sessions": Kind.SESSION,
}
_MEMBERS: Final = frozenset({*_LISTS, "receiver", "role", "reservation_ids", "now"})


@frozen(kw_only=True)
class FileFacts:
    """What the file says.

    Attributes:
        objects: the lists of objects by their member's name.
        receiver: the other party, or None.
        role: the role of credentials, or None.
        reservation_ids: numbers of reservations by their ids.
        now: timezone-aware UTC.
    """

    objects: dict[str, list[Any]] = field(factory=dict)
    receiver: Party | None = None
    role: str | None = None
    reservation_ids: dict[str, int] = field(factory=dict)
    now: datetime = field(factory=lambda: datetime.now(UTC))

    @property
    def sole_token(self) -> Any | None:
        """The token asked about: the only one in the file."""
        tokens = self.objects.get("tokens", [])
        return tokens[0] if len(tokens) == 1 else None

    def looked_up(self, owners: Iterable[Party]) -> Facts:
        """The facts, complete. ``owners`` are the parties whose reservations the numbers may stand for."""
        known: dict[Key, Any] = {}
        for location in self.objects.get("locations", []):
            _add(known, FactKind.LOCATION, location, location["id"])
            for connector in (plug for evse in location.get("evses") or [] for plug in evse["connectors"]):
                for tariff_id in connector.get("tariff_ids") or []:
                    _append(known, FactKind.CONNECTORS_OF_TARIFF, location, tariff_id, connector)
        for tariff in self.objects.get("tariffs", []):
            _add(known, FactKind.TARIFF, tariff, tariff["id"])
        for token in self.objects.get("tokens", []):
            _append(known, FactKind.TOKENS_OF_CONTRACT, token, token["contract_id"], token)
            _append(known, FactKind.TOKENS_OF_UID, token, token["uid"], token)
        for session in self.objects.get("sessions", []):
            _add(known, FactKind.SESSION, session, session["id"])
            _append(known, FactKind.SESSIONS_OF_CONTRACT, session, session["cdr_token"]["contract_id"], session)
        for owner in owners:
            known |= {Key(FactKind.RESERVATION, owner, id): number for id, number in self.reservation_ids.items()}
        return Facts(known, now=self.now, complete=True)


def read_facts(value: Any) -> FileFacts:
    """The facts of a file's JSON value.

    Raises:
        InvalidObject: with the JSON path of the first mistake.
    """
    if not isinstance(value, dict):
        raise InvalidObject("$", "expected an object")
    if unknown := sorted(value.keys() - _MEMBERS):
        raise InvalidObject(f"$.{unknown[0]}", f"unknown; there are {', '.join(sorted(_MEMBERS))}")
    given = {name: content for name, content in value.items() if content is not None}
    settled: dict[str, Any] = {
        "objects": {name: _objects(name, given[name]) for name in _LISTS if name in given},
        "reservation_ids": _numbers(given.get("reservation_ids", {})),
    }
    if "receiver" in given:
        settled["receiver"] = _party(given["receiver"])
    if "role" in given:
        settled["role"] = str(given["role"])
    if "now" in given:
        settled["now"] = _moment(given["now"])
    return FileFacts(**settled)


def _objects(name: str, given: Any) -> list[Any]:
    if not isinstance(given, list):
        raise InvalidObject(f"$.{name}", "expected a list")
    valid = []
    for index, item in enumerate(given):
        try:
            valid.append(validate(CLASSES[_LISTS[name]], item))
        except InvalidObject as error:
            raise InvalidObject(f"$.{name}[{index}]{error.path.removeprefix('$')}", error.what) from None
    return valid


def _numbers(given: Any) -> dict[str, int]:
    if not isinstance(given, dict) or not all(type(number) is int for number in given.values()):
        raise InvalidObject("$.reservation_ids", "expected an object of integers")
    return given


def _party(given: Any) -> Party:
    try:
        return Party.parse(given)
    except (ValueError, AttributeError) as error:
        raise InvalidObject("$.receiver", str(error)) from None


def _moment(given: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
    except (ValueError, TypeError):
        raise InvalidObject("$.now", "expected a date and time such as 2026-01-05T10:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _owners(thing: Any) -> tuple[Party | None, ...]:
    """Under whom an object is found: its owner, and nobody in particular."""
    code = thing["country_code"]
    return Party(alpha_2(code) or code, thing["party_id"]), None


def _add(known: dict[Key, Any], kind: FactKind, thing: Any, id: str) -> None:
    for owner in _owners(thing):
        known[Key(kind, owner, id)] = thing


def _append(known: dict[Key, Any], kind: FactKind, owned: Any, id: str, thing: Any) -> None:
    for owner in _owners(owned):
        known.setdefault(Key(kind, owner, id), []).append(thing)
