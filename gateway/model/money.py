"""Amounts of money. The gateway carries them and never computes them: no rounding, no VAT."""

from __future__ import annotations

from attrs import frozen

from gateway.model.types import Number


@frozen(kw_only=True)
class Price:
    """An amount in the currency of the object it belongs to. Spec: 2.2.1 ``types``, Price class."""

    excl_vat: Number  # currency units, without VAT
    incl_vat: Number | None = None  # currency units, with VAT; absent: not known, which isn't "no VAT"
