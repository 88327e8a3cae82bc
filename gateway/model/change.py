"""What a receiver is sent: one request that brings it from what it has to what is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from gateway.model.facts import Loss
from gateway.model.message import Ref
from gateway.model.modules import Kind, Verb


@frozen(kw_only=True)
class Change:
    """One request that brings a receiver from what it has to what is: verb, what it addresses, body in wire form."""

    verb: Verb
    ref: Ref
    kind: Kind
    body: Any

    def loses(
        self, whole: Kind, losses: tuple[Loss, ...], targets: Callable[[frozenset[str]], frozenset[str]]
    ) -> tuple[Loss, ...]:
        """Of what translating the whole object lost, what this request is about.

        A PATCH of the object leaves most of it unsaid: what was lost there was lost when it was last said.

        Args:
            whole: the kind of the whole object.
            losses: of its translation, by pointers into the canonical object.
            targets: the fields on the other side that come of fields of the canonical object.
        """
        if self.verb is not Verb.PATCH or self.kind is not whole:
            return losses
        return tuple(loss for loss in losses if _concerns(loss, targets, self.body))


def _concerns(loss: Loss, targets: Callable[[frozenset[str]], frozenset[str]], body: Mapping[str, Any]) -> bool:
    name = loss.pointer.partition("/")[2].partition("/")[0]
    fields = targets(frozenset({name}))
    # A field that comes to nothing on the other side never stands in a body: it is told each time.
    return not fields or not fields.isdisjoint(body)
