"""What a receiver is sent: one request that brings it from what it has to what is."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from gateway.model.message import Ref
from gateway.model.modules import Kind, Verb


@frozen(kw_only=True)
class Change:
    """One request that brings a receiver from what it has to what is: verb, what it addresses, body in wire form."""

    verb: Verb
    ref: Ref
    kind: Kind
    body: Any
