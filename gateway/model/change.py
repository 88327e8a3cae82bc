"""What a receiver is sent: one request that brings it from what it has to what is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from gateway.model.facts import Loss
from gateway.model.message import Ref
from gateway.model.modules import Kind, Verb
from gateway.model.names import fold

Touched = Callable[[Kind, frozenset[str]], frozenset[str]]
"""The fields on the other side that come of these fields of a canonical object of that kind."""


@frozen(kw_only=True)
class Change:
    """One request that brings a receiver from what it has to what is: verb, what it addresses, body in wire form."""

    verb: Verb
    ref: Ref
    kind: Kind
    body: Any

    def loses(self, canonical: Mapping[str, Any], losses: tuple[Loss, ...], touched: Touched) -> tuple[Loss, ...]:
        """Of what translating the whole object lost, what this request is about.

        One about an EVSE or connector leaves the rest of the location unsaid, a PATCH most of what it addresses: what
        was lost there was lost when it was last said.

        Args:
            canonical: the whole object.
            losses: of its translation, by pointers into it.
        """
        if not losses:
            return losses
        at = _pointer(canonical, self.ref)
        if at is None:
            return ()  # the piece isn't there any more
        inside = [loss for loss in losses if not at or loss.pointer.startswith(f"{at}/")]
        if self.verb is Verb.PATCH:
            inside = [loss for loss in inside if self._says(loss.pointer[len(at) + 1 :].partition("/")[0], touched)]
        return tuple(inside)

    def _says(self, name: str, touched: Touched) -> bool:
        fields = touched(self.kind, frozenset({name}))
        # A field that comes to nothing on the other side never stands in a body: it is told each time.
        return not fields or not fields.isdisjoint(self.body)


def _pointer(canonical: Mapping[str, Any], ref: Ref) -> str | None:
    """Where in a canonical object the piece stands that is addressed; None: nowhere."""
    at, piece = "", canonical
    for name, key, id in (("evses", "uid", ref.evse_uid), ("connectors", "id", ref.connector_id)):
        if id is None:
            break
        pieces = enumerate(piece.get(name) or ())
        index, piece = next((one for one in pieces if fold(one[1][key]) == fold(id)), (-1, {}))
        if index < 0:
            return None
        at += f"/{name}/{index}"
    return at
