"""Priced products: what charging costs whom, whoever told us, in one form.

In OCPI a tariff is the CPO's price towards an eMSP. Price feeds tell more than that: what a driver pays without a
contract, what an eMSP asks of its own customers, what an operator's subscribers pay. A ``Priced`` is a tariff with what
a tariff has no room for: for whom it is (its *audience*), the product and the partner that sells it, a subscription's
fee. The fee never becomes a part of the tariff: nobody pays it for a session.

``Linked`` says which prices hold at a connector. Both are plain values: where they came from and where they go is
somebody else's business, and so is whether they may go there.

A price that came from a feed keeps the feed's own row as it was read (``raw``), with fields that nobody knows, and what
looked wrong in it (``flags``): doubts are told, and nothing is rewritten because of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Self
from uuid import NAMESPACE_URL, uuid5

import attrs
from attrs import evolve, field, frozen

from gateway.model.party import Party
from gateway.model.tariffs import TariffType
from gateway.model.types import Number
from gateway.model.values import says_nothing

Connector = tuple[str, str, str]
"""A connector of a feed: location id, EVSE uid, connector id."""

_HEX_DIGITS: Final = 32
_MOST_ADJUSTED: Final = 17  # the exponent of a number's first digit
_MOST_ZEROS: Final = 6  # of a zero, behind the point
_NOT_CONTENT: Final = frozenset({"last_updated"})
AD_HOC: Final = "Ad hoc"
"""What an ad hoc tariff of our own is called, which has no product name."""


class Audience(StrEnum):
    """Whom a price is for."""

    WHOLESALE = "wholesale"  # eMSPs, by a roaming contract: what OCPI means by a tariff
    ADHOC = "adhoc"  # drivers without a contract
    MSP_RETAIL = "msp_retail"  # drivers with an eMSP's contract
    CPO_SUBSCRIPTION = "cpo_subscription"  # drivers who subscribed to the operator
    UNKNOWN = "unknown"  # nobody said; it goes nowhere


class Period(StrEnum):
    """How often the fee of a subscription is due."""

    MONTH = "month"
    YEAR = "year"
    ONE_OFF = "one_off"  # once, for a card or chip
    NONE = "none"  # there is no subscription
    UNKNOWN = "unknown"


@frozen
class Flag:
    """Something in a feed that looks wrong, or that couldn't be read.

    Attributes:
        id: the feed's own id of the price; of a row without a price id, of what it is about; empty where it has none.
        pointer: JSON pointer (RFC 6901) into the row; empty for the row itself.
        reason: what a person reads.
    """

    id: str
    pointer: str
    reason: str


@frozen(kw_only=True)
class Product:
    """What is sold at a price, and who sells it. Texts as their source has them; None where it says nothing.

    Attributes:
        id: of the product, often a UUID.
        type: the feed's own word for the audience.
        partner, partner_id: name and id of the product's owner.
    """

    id: str | None = None
    name: str | None = None
    description: str | None = None
    type: str | None = None
    partner: str | None = None
    partner_id: str | None = None


@frozen(kw_only=True)
class Subscription:
    """What a product costs besides its sessions.

    Attributes:
        period: how often; ``word`` is the feed's own word for it.
        fee: currency units per period, without VAT; None where nobody said.
        currency: ISO 4217 code; None where nobody said.
    """

    period: Period = Period.UNKNOWN
    word: str | None = None
    fee: Decimal | None = None
    currency: str | None = None


@frozen(kw_only=True)
class Priced:
    """A tariff and what it is the price of.

    Attributes:
        tariff: a Tariff as JSON value, in the shape of the newest version.
        price_id: the feed's own id of it; None: the tariff is no feed's, but was sent by its owner. Several have the
            same where a feed tells the prices of several products under one id.
        flags: what looks wrong in it.
        raw: the feed's row as it was read; None as above.
    """

    tariff: Mapping[str, Any]
    audience: Audience
    product: Product = field(factory=Product)
    subscription: Subscription = field(factory=Subscription)
    price_id: str | None = None
    flags: tuple[Flag, ...] = ()
    raw: Any = None

    @classmethod
    def of(cls, tariff: Mapping[str, Any], partner: str | None) -> Self:
        """A tariff that its owner sent, as a product.

        Args:
            tariff: a canonical Tariff.
            partner: the owner's business name.
        """
        owner = f"{tariff['country_code']}-{tariff['party_id']}".upper()
        adhoc = tariff.get("type") == TariffType.AD_HOC_PAYMENT
        product = Product(
            id=str(uuid5(NAMESPACE_URL, f"ocpi:tariff:{owner}:{tariff['id']}")),
            name=AD_HOC if adhoc else tariff["id"],
            description=next((text["text"] for text in tariff.get("tariff_alt_text") or ()), None),
            partner=partner or owner,
            partner_id=str(uuid5(NAMESPACE_URL, f"ocpi:party:{owner}")),
        )
        free = Subscription(period=Period.NONE, fee=Decimal(0), currency=tariff["currency"])
        audience = Audience.ADHOC if adhoc else Audience.WHOLESALE
        return cls(tariff=tariff, audience=audience, product=product, subscription=free)

    @property
    def id(self) -> str:
        """The tariff's id, as OCPI partners know it."""
        return str(self.tariff["id"])

    @property
    def imported(self) -> bool:
        """Whether it came from a feed: it may have a licence that forbids showing it to others."""
        return self.price_id is not None

    @property
    def digest(self) -> str:
        """32 hex digits that change when its content does, and only then.

        Content is what a reader of prices could tell: tariff, product, subscription, audience. When it was updated,
        flags and unknown fields are none.
        """
        tariff = {name: said for name, said in self.tariff.items() if name not in _NOT_CONTENT}
        content = [tariff, attrs.asdict(self.product), attrs.asdict(self.subscription), self.audience.value]
        return digest_of(content)

    def owned_by(self, party: Party) -> Self:
        """The same, its tariff being this party's."""
        owner = {"country_code": party.country_code, "party_id": party.party_id}
        return evolve(self, tariff={**self.tariff, **owner})


@frozen(kw_only=True)
class Linked:
    """Which prices hold at a connector.

    Attributes:
        location: id; ``evse_uid`` is unique only within it, ``connector_id`` only within that.
        price_ids: ids as the feed has them, each once, in its order.
        more: what else the feed says there, by name.
    """

    location: str
    evse_uid: str
    connector_id: str
    price_ids: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(factory=dict)

    @property
    def connector(self) -> Connector:
        """What it is about."""
        return self.location, self.evse_uid, self.connector_id


@frozen(kw_only=True)
class Place:
    """A connector of a feed's location, as far as prices care.

    Attributes:
        location, evse_uid, connector_id: as in ``Linked``.
        evse_id: the id that stands on the EVSE, by which ours and theirs are compared; None where it has none.
        price_id: of the older shape; None where it has none.
        operator: name of the location's operator; None where nobody said.
        ema_ids: the operator's ids, as they are spelled.
    """

    location: str
    evse_uid: str
    connector_id: str
    evse_id: str | None = None
    price_id: str | None = None
    operator: str | None = None
    ema_ids: tuple[str, ...] = ()

    @property
    def connector(self) -> Connector:
        """Which one it is."""
        return self.location, self.evse_uid, self.connector_id

    @property
    def linked(self) -> Linked:
        """What the older shape says about prices here."""
        ids = () if self.price_id is None else (self.price_id,)
        return Linked(location=self.location, evse_uid=self.evse_uid, connector_id=self.connector_id, price_ids=ids)


@frozen
class Places:
    """What was read of one location, and what of it couldn't be."""

    places: tuple[Place, ...] = ()
    flags: tuple[Flag, ...] = field(default=())


@frozen
class Read:
    """What was read of one row.

    Attributes:
        prices: usually one; several of the older shape; none if it couldn't be read.
        refused: what couldn't be read, and why.
    """

    prices: tuple[Priced, ...] = ()
    refused: tuple[Flag, ...] = field(default=())

    @property
    def flags(self) -> tuple[Flag, ...]:
        """All that is to be told of it."""
        return (*self.refused, *(flag for priced in self.prices for flag in priced.flags))


@frozen(kw_only=True)
class Gone:
    """A location that a feed had and has no more.

    Attributes:
        id: that it had.
        row: as it was read last.
        since: when it was missed first, in milliseconds since 1970.
        now: id of the location that it was merged into; None: nobody knows of one.
    """

    id: str
    row: bytes
    since: int
    now: str | None = None


@frozen(kw_only=True)
class Wanted:
    """Which part of a list somebody asks for.

    Attributes:
        limit: objects on the page.
        offset: objects to skip.
        after: id of the last object of the page before (``last_record``); None: from the beginning.
    """

    limit: int
    offset: int = 0
    after: str | None = None


def digest_of(content: Any) -> str:
    """32 hex digits of a JSON value: the same for values that differ in spelling only (order of keys, 0.10 and 0.1)."""
    return sha256("".join(_spelled(content)).encode("utf-8", "surrogatepass")).hexdigest()[:_HEX_DIGITS]


def _spelled(value: Any) -> Iterator[str]:
    match value:
        case dict():
            yield "{"
            for name in sorted(name for name, content in value.items() if not says_nothing(content)):
                yield f"{name!r}:"
                yield from _spelled(value[name])
            yield "}"
        case list() | tuple():
            yield "["
            for item in value:
                yield from _spelled(item)
            yield "]"
        case Decimal() | int() if not isinstance(value, bool):
            yield f"{Decimal(value).normalize()},"
        case str():
            yield f"{str(value)!r},"
        case _:
            yield f"{value},"


# --- as JSON values, for a store ------------------------------------------------------------------------------------


def pack(priced: Priced) -> dict[str, Any]:
    """A JSON value that ``unpack`` makes the same of."""
    packed = {
        "tariff": priced.tariff,
        "audience": priced.audience.value,
        "product": _said(priced.product),
        "subscription": _said(priced.subscription),
        "price_id": priced.price_id,
        "flags": [[flag.id, flag.pointer, flag.reason] for flag in priced.flags],
        "raw": priced.raw,
    }
    return {name: content for name, content in packed.items() if not says_nothing(content)}


def unpack(packed: Mapping[str, Any]) -> Priced:
    """What ``pack`` was given."""
    subscription = dict(packed["subscription"])
    subscription["period"] = Period(subscription["period"])
    if (fee := subscription.get("fee")) is not None:
        subscription["fee"] = Decimal(fee)
    return Priced(
        tariff=packed["tariff"],
        audience=Audience(packed["audience"]),
        product=Product(**packed["product"]),
        subscription=Subscription(**subscription),
        price_id=packed.get("price_id"),
        flags=tuple(Flag(*flag) for flag in packed.get("flags", ())),
        raw=packed.get("raw"),
    )


def pack_linked(linked: Linked) -> dict[str, Any]:
    """A JSON value that ``unpack_linked`` makes the same of."""
    return {**attrs.asdict(linked, recurse=False), "price_ids": list(linked.price_ids)}


def unpack_linked(packed: Mapping[str, Any]) -> Linked:
    """What ``pack_linked`` was given."""
    return Linked(**{**packed, "price_ids": tuple(packed["price_ids"])})


def _said(record: Product | Subscription) -> dict[str, Any]:
    """Its fields that say something; amounts as texts, which keep their digits in every store."""
    given = attrs.asdict(record)
    return {
        name: str(content) if isinstance(content, Decimal) else content
        for name, content in given.items()
        if content is not None
    }


def plain(number: Number) -> Number:
    """The same number, digit by digit, so that it can be written without an exponent.

    ``0E-8`` is 0.000000 and ``1E+2`` is 100; every other digit stays, ``0.10`` too.

    Raises:
        ValueError: it isn't finite, or has more than 18 digits before the point.
    """
    if isinstance(number, int):
        return number
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or number.adjusted() > _MOST_ADJUSTED:
        raise ValueError("a number beyond all prices")
    if not number:
        return Decimal((0, (0,), -min(max(-exponent, 0), _MOST_ZEROS)))
    return int(number) if exponent > 0 else number
