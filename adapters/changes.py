"""PATCH, both ways: merging one that came in, and finding the smallest request that says what changed.

A PATCH is shallow: it replaces fields of the piece that it addresses (a location, one of its EVSEs, one connector) and
leaves the others. Versions differ in little: which objects have one, which must carry ``last_updated``, and what a list
of charging periods in it means. That little is a ``PatchRules`` per version.

Finding a change goes the other way round. Candidates are made, smallest first: a PATCH of the connector, of the EVSE,
of the object. One is sent only if **merging it, by the same rules as the receiver's, into what the receiver has gives
what is**; else it is a PUT, which always does. So nothing that a PATCH can't say (a field that vanished, charging
periods that were rewritten rather than extended) needs a rule of its own, and none can be forgotten.

Spec: 2.1.1 ``transport_and_format`` PATCH; 2.2.1 ``transport_and_format`` PATCH, ``mod_locations`` PUT and PATCH
(parents follow), ``mod_sessions`` PATCH (charging periods are added).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from attrs import evolve, frozen

from adapters.paths import addressed_id, check_id, id_field
from gateway.model.change import Change
from gateway.model.errors import InvalidObject, NotFound
from gateway.model.message import Ref
from gateway.model.modules import MODULES, Kind, Verb
from gateway.model.names import fold
from gateway.model.policy import Policy
from gateway.model.values import moment, same, says_nothing

_STAMP: Final = "last_updated"
_PERIODS: Final = "charging_periods"
# What says nothing when it is as it was, however it was touched: stamps, owners, lists of pieces or of periods.
_SILENT: Final = frozenset({_STAMP, "country_code", "party_id", "evses", _PERIODS})
_MODULE_OF: Final = {facts.kind: module for module, facts in MODULES.items()}

Piece = dict[str, Any]


@frozen
class PatchRules:
    """What a PATCH is in one version.

    Attributes:
        patchable: the objects that have one.
        stamped: the objects whose PATCH, at any depth, must carry ``last_updated``.
        periods: the charging periods of a session after a PATCH, from those stored and those in it.
    """

    patchable: frozenset[Kind]
    stamped: frozenset[Kind]
    periods: Callable[[list[Any], list[Any], Policy], list[Any]]


@frozen(kw_only=True)
class Patching:
    """The half of an adapter that deals in PATCHes; see ``gateway/ports.py``."""

    rules: PatchRules

    def merge(self, kind: Kind, stored: Any, ref: Ref, fragment: Any, policy: Policy) -> Any:
        return merge(self.rules, kind, stored, ref, fragment, policy)

    def place(self, stored: Any, ref: Ref, piece: Any) -> Any:
        return place(stored, ref, piece)

    def changes(
        self, kind: Kind, ref: Ref, before: Any | None, after: Any, touched: frozenset[str], policy: Policy
    ) -> tuple[Change, ...]:
        return changes(self.rules, kind, ref, before, after, touched, policy)


# Merging ------------------------------------------------------------------------------------------------------------


def merge(rules: PatchRules, kind: Kind, stored: Piece, ref: Ref, fragment: Any, policy: Policy) -> Piece:
    """A PATCH merged into the stored object; see ``ports.Adapter.merge``. Null removes a field."""
    if not isinstance(fragment, dict):
        raise InvalidObject("$", "expected an object")
    if kind in rules.stamped and fragment.get(_STAMP) is None:
        raise InvalidObject(f"$.{_STAMP}", "required in a PATCH")

    def patched(piece: Piece | None) -> Piece:
        if piece is None:
            raise NotFound(f"no {_kind_of(kind, ref)} {addressed_id(ref)}")
        return _merged(rules, _kind_of(kind, ref), piece, ref, fragment, policy)

    return _replaced(stored, ref, patched)


def place(stored: Piece, ref: Ref, piece: Piece) -> Piece:
    """The PUT of an EVSE or connector placed into its location; see ``ports.Adapter.place``."""
    return _replaced(stored, ref, lambda _: piece)


def _kind_of(kind: Kind, ref: Ref) -> Kind:
    """What a reference into an object of this kind addresses."""
    if ref.connector_id is not None:
        return Kind.CONNECTOR
    return kind if ref.evse_uid is None else Kind.EVSE


def _merged(rules: PatchRules, kind: Kind, piece: Piece, ref: Ref, fragment: Piece, policy: Policy) -> Piece:
    _check_unchanged(kind, piece, ref, fragment)
    merged = dict(piece)
    for name, value in fragment.items():
        if name == id_field(kind):
            continue  # the same but for case: its owner's first spelling stays
        if kind is Kind.SESSION and name == _PERIODS and isinstance(value, list | None):
            value = rules.periods(piece.get(_PERIODS) or [], value or [], policy)
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _check_unchanged(kind: Kind, piece: Piece, ref: Ref, fragment: Piece) -> None:
    """That a PATCH leaves alone what makes the object this object: its id, and a token's type."""
    name = id_field(kind)
    if name in fragment and not isinstance(fragment[name], str):
        raise InvalidObject(f"$.{name}", "can't be changed")
    check_id(kind, fragment, ref)
    if kind is Kind.TOKEN and fragment.get("type", piece.get("type")) != piece.get("type"):
        raise InvalidObject("$.type", "can't be changed: it is a part of the token's id")


def _replaced(stored: Piece, ref: Ref, change: Callable[[Piece | None], Piece]) -> Piece:
    """A copy of the object with the piece that ``ref`` addresses changed (None: it isn't there yet)."""
    if ref.evse_uid is None:
        return change(stored)
    if ref.connector_id is None:
        return _with_item(stored, "evses", Kind.EVSE, ref.evse_uid, change)

    def with_connector(evse: Piece | None) -> Piece:
        if evse is None:
            raise NotFound(f"no {Kind.EVSE} {ref.evse_uid}")
        return _with_item(evse, "connectors", Kind.CONNECTOR, ref.connector_id or "", change)

    return _with_item(stored, "evses", Kind.EVSE, ref.evse_uid, with_connector)


def _with_item(parent: Piece, name: str, kind: Kind, item_id: str, change: Callable[[Piece | None], Piece]) -> Piece:
    items = list(parent.get(name) or [])
    at = next((at for at, item in enumerate(items) if _same_id(item[id_field(kind)], item_id)), None)
    piece = change(None if at is None else items[at])
    if at is None:
        items.append(piece)
    else:
        items[at] = piece
    # 2.2.1 mod_locations PUT and PATCH: the receiver sets the new last_updated on the parents. Never back in time.
    return parent | {name: items} | _newer_stamp(parent, piece)


def _newer_stamp(parent: Piece, piece: Piece) -> Piece:
    old, new = (_moment_of(item.get(_STAMP)) for item in (parent, piece))
    return {_STAMP: piece[_STAMP]} if old is not None and new is not None and new > old else {}


def _moment_of(stamp: Any) -> datetime | None:
    """The moment, or None for what isn't one: a PATCH is merged before it is validated."""
    try:
        return moment(stamp)
    except (TypeError, ValueError, OverflowError):
        return None


def _same_id(one: str, other: str) -> bool:
    return fold(one) == fold(other)


# Finding the change -------------------------------------------------------------------------------------------------


def changes(
    rules: PatchRules, kind: Kind, ref: Ref, before: Piece | None, after: Piece, touched: frozenset[str], policy: Policy
) -> tuple[Change, ...]:
    """The requests from ``before`` to ``after``; see ``ports.Adapter.changes``. URLs spell the id as the body does."""
    ref = evolve(ref, id=after.get(id_field(kind), ref.id))
    if kind is Kind.CDR:  # posted once, never changed
        return (Change(verb=Verb.POST, ref=ref, kind=kind, body=after),) if before is None else ()
    whole = Change(verb=Verb.PUT, ref=ref, kind=kind, body=after)
    if before is None:
        return (whole,)
    said = _differing(before, after)
    said |= {name for name in touched - _SILENT - {id_field(kind)} if not says_nothing(after.get(name))}
    if not said:
        return ()
    if kind in rules.patchable and _MODULE_OF[kind] not in policy.push_patch_as_put:
        for change in _candidates(kind, ref, before, after, said):
            if _gives(rules, kind, before, change, after, policy):
                return (change,)
    return (whole,)


def _candidates(kind: Kind, ref: Ref, before: Piece, after: Piece, said: set[str]) -> Iterator[Change]:
    """Requests that may bring ``before`` to ``after``, the smallest first."""
    if kind is Kind.LOCATION and "evses" in said:
        moved = _moved_item(before, after, "evses", Kind.EVSE)
        if said == {"evses"}:
            if moved is not None:
                yield from _evse_candidates(ref, *moved)
            return
        if _lost_item(before, after, "evses", Kind.EVSE):
            return
    yield _patch(kind, ref, after, said)
    if kind is Kind.SESSION and _PERIODS in said:
        added = (after.get(_PERIODS) or [])[len(before.get(_PERIODS) or []) :]
        yield _patch(kind, ref, after | {_PERIODS: added}, said)


def _evse_candidates(ref: Ref, was: Piece | None, now: Piece) -> Iterator[Change]:
    ref = evolve(ref, evse_uid=now["uid"])
    if was is not None:
        said = _differing(was, now)
        moved = _moved_item(was, now, "connectors", Kind.CONNECTOR)
        if said == {"connectors"} and moved is not None:
            yield from _connector_candidates(ref, *moved)
        if not _lost_item(was, now, "connectors", Kind.CONNECTOR):
            yield _patch(Kind.EVSE, ref, now, said)
    yield Change(verb=Verb.PUT, ref=ref, kind=Kind.EVSE, body=now)


def _connector_candidates(ref: Ref, was: Piece | None, now: Piece) -> Iterator[Change]:
    if was is None:
        return  # a new one: its EVSE says so
    ref = evolve(ref, connector_id=now["id"])
    yield _patch(Kind.CONNECTOR, ref, now, _differing(was, now))
    yield Change(verb=Verb.PUT, ref=ref, kind=Kind.CONNECTOR, body=now)


def _patch(kind: Kind, ref: Ref, after: Piece, said: set[str]) -> Change:
    """The PATCH that says these fields. It never says null: a PATCH "is not suitable to remove information"."""
    body = {name: value for name, value in after.items() if name in said and not says_nothing(value)}
    stamp = {_STAMP: after[_STAMP]} if _STAMP in after else {}
    return Change(verb=Verb.PATCH, ref=ref, kind=kind, body=body | stamp)


def _gives(rules: PatchRules, kind: Kind, before: Piece, change: Change, after: Piece, policy: Policy) -> bool:
    """Whether a receiver that has ``before`` has ``after`` once it was sent this change."""
    if change.verb is Verb.PUT:
        return _alike(place(before, change.ref, change.body), after)
    try:
        return _alike(merge(rules, kind, before, change.ref, change.body, policy), after)
    except InvalidObject:
        return False  # it would refuse it: a token's type changed, or there is no stamp


def _moved_item(was: Piece, now: Piece, name: str, kind: Kind) -> tuple[Piece | None, Piece] | None:
    """The only item of a list that is new or not as it was, before and after; None if there are several."""
    old = _by_id(was, name, kind)
    pairs = [(old.get(item_id), item) for item_id, item in _by_id(now, name, kind).items()]
    moved = [(before, after) for before, after in pairs if before is None or not _alike(before, after)]
    return moved[0] if len(moved) == 1 else None


def _lost_item(was: Piece, now: Piece, name: str, kind: Kind) -> bool:
    """Whether an item of a list is gone: that is for a PUT to say."""
    return not _by_id(was, name, kind).keys() <= _by_id(now, name, kind).keys()


def _by_id(parent: Piece, name: str, kind: Kind) -> dict[str, Piece]:
    return {fold(item[id_field(kind)]): item for item in parent.get(name) or []}


def _differing(before: Piece, after: Piece) -> set[str]:
    """The names of the fields that aren't alike, ``last_updated`` apart."""
    return {name for name in before.keys() | after.keys() if not _alike(before.get(name), after.get(name))} - {_STAMP}


def _alike(one: Any, other: Any) -> bool:
    """Whether two values mean the same but for the ``last_updated`` in them, at any depth."""
    return same(one, other) or same(_unstamped(one), _unstamped(other))


def _unstamped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unstamped(inner) for name, inner in value.items() if name != _STAMP}
    return [_unstamped(item) for item in value] if isinstance(value, list) else value
