"""Rows of ``prices``, read into priced products and written from them, in both shapes.

The newer shape has one product a row. The older one has several under one id, so a row becomes several tariffs; the ad
hoc one among them, which is what operators' partners get to see, keeps the id.

What says the same is read as the same: restrictions as an object or a list, with limits that limit nothing
(``min_duration: 0``, ``max_duration: 86400``), numbers as texts, ``pricelist`` for ``price_list``, an object for a list
of one, a list too many around elements. Fields that nobody knows stay in the row that is kept and are nowhere else.
What can't be understood costs its price and is told; what looks wrong is told and stays.

Whose a tariff is, prices don't say: that follows from the operator of the connectors it holds at, so a tariff that was
read is the feed's own (NL-ECO) until ``owned_by`` says otherwise; ``owner`` knows the rule.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, repeat
from typing import Any, Final

from attrs import evolve, field, fields_dict, frozen

from adapters.eco_movement import objects as eco
from adapters.eco_movement.checks import Placed, odd_limits, suspicions
from adapters.eco_movement.connectors import operator_party, steps
from adapters.eco_movement.maps import AUDIENCES, ENTRY, PRICE, made_id, tariff_id, words_for_partners
from adapters.fieldmap import FieldMap, without_unknown
from gateway.model.document import validate
from gateway.model.errors import InvalidObject
from gateway.model.facts import Crossing, Facts, Needs, Translated, Withheld
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.prices import (
    AD_HOC,
    Audience,
    Flag,
    Period,
    Priced,
    Product,
    Read,
    Subscription,
    digest_of,
    plain,
)
from gateway.model.tariffs import Tariff
from gateway.model.values import pointer

FEED: Final = Party("NL", "ECO")
"""Who Eco-Movement is as a party of OCPI."""

_POLICY: Final = Policy()
_SAYS_AD_HOC: Final = re.compile(r"\bad[\s_-]?hoc\b", re.IGNORECASE)
_LISTS: Final = ("price_list", "pricelist")
_LIMITS: Final = frozenset(fields_dict(eco.Restrictions))
_NO_LIMIT: Final = {"min_duration": 0, "max_duration": 86400}  # s
_PERIODS: Final[Mapping[str, Period]] = {
    "month": Period.MONTH,
    "yearly": Period.YEAR,
    "one-off": Period.ONE_OFF,
    "n/a": Period.NONE,
}
_WORDS: Final = {period: word for word, period in _PERIODS.items()}
_TYPES: Final = {audience: word for word, audience in AUDIENCES.items()}
_OTHER: Final = "other"
_FEE_DECIMALS: Final = 4

Steps = tuple[str | int, ...]


def read_new(row: Any, *, now: datetime) -> Read:
    """A row of the newer shape.

    Args:
        row: a JSON value.
        now: the moment of reading, which stands for a ``last_updated`` that is missing.
    """
    settled = _settled_price(row)
    try:
        known = _known(eco.Price, settled, now)
        if not known["id"]:
            raise InvalidObject("$.id", "required")
        product = _product(known)
        audience = AUDIENCES.get((product.type or "").strip().lower(), Audience.UNKNOWN)
        return Read((_priced(PRICE, known, settled, audience, known["id"], row, now),))
    except InvalidObject as error:
        return Read(refused=(settled.flag(_id(row), steps(error.path), error.what),))


def read_old(row: Any, *, now: datetime, operators: Collection[str] = ()) -> Read:
    """A row of the older shape: one price for each product under its id.

    Args:
        row, now: as for ``read_new``.
        operators: names of those who operate the connectors that it holds at: a product of theirs with a fee is their
            subscription.
    """
    id = _id(row)
    if not id:
        return Read(refused=(Flag("", "/id", "required"),))
    name = next((name for name in _LISTS if row.get(name) is not None), _LISTS[0])
    given = row.get(name)
    prices: list[Priced] = []
    refused: list[Flag] = []
    for entry, place in _items(given, (name,)):
        settled = _settled_entry(entry, place)
        try:
            known = _known(eco.Entry, settled, now)
            audience = _guessed(_product(known), _subscription(known)[0], operators)
            kept = {**row, name: [entry]}
            prices.append(_priced(ENTRY, known, settled, audience, id, kept, now))
        except InvalidObject as error:
            refused.append(settled.flag(id, steps(error.path), error.what))
    if not prices and not refused:
        refused.append(Flag(id, f"/{name}", "it has no prices"))
    return Read(_with_ids(id, prices), tuple(refused))


def write_new(priced: Priced, id: str | None = None) -> Translated:
    """A row of the newer shape, with what is lost of the tariff (pointers into the tariff).

    Args:
        id: under which it is served; None: its ``served_id``.

    Raises:
        Withheld: it can't be said.
    """
    lowered = _lowered(PRICE, priced)
    product = {
        "id": priced.product.id,
        "name": priced.product.name,
        "description": priced.product.description,
        "subscription_type": _period(priced.subscription),
        "subscription_fee_excl_vat": _fee_text(priced.subscription.fee),
        "type": priced.product.type or _TYPES.get(priced.audience, _OTHER),
        **lowered.data["product"],
    }
    row = {
        "id": id or served_id(priced),
        "partner": priced.product.partner,
        "partner_id": priced.product.partner_id,
        "last_updated": lowered.data["last_updated"],
        "product": product,
        "elements": lowered.data["elements"],
    }
    return Translated(_said(row), lowered.losses)


def write_entry(priced: Priced) -> Translated:
    """An entry of a ``price_list`` of the older shape, with what is lost of the tariff.

    Raises:
        Withheld: it has nothing but prices with restrictions, for which there is no room.
    """
    lowered = _lowered(ENTRY, priced)
    given = priced.product
    nameless = priced.audience is Audience.ADHOC and not _says_ad_hoc(given)
    product = {
        "name": AD_HOC if nameless else given.name,
        "description": given.description,
        "subscription_type": _period(priced.subscription),
        "subscription_fee_excl_vat": None if (fee := priced.subscription.fee) is None else plain(fee),
        **lowered.data["product"],
    }
    entry = {"partner": given.partner, "product": product, "elements": lowered.data["elements"]}
    return Translated(_said(entry), lowered.losses)


def write_old(prices: Iterable[Priced], served: Iterable[str | None] = ()) -> dict[str, Any] | None:
    """The row of the older shape for all prices of a connector; None if none of them can be said.

    Its id is made of their content: connectors with the same prices have the same one.

    Args:
        served: the ``served_id`` of each, where somebody has worked it out before.
    """
    entries: dict[str, Any] = {}
    for priced, id in zip(prices, chain(served, repeat(None))):  # noqa: B905 - the second has no end
        try:
            entries[id or served_id(priced)] = write_entry(priced).data
        except Withheld:
            continue
    if not entries:
        return None
    ids = sorted(entries)
    return {"id": digest_of(ids), "price_list": [entries[id] for id in ids]}


def served_id(priced: Priced) -> str:
    """The id under which a price is served: 32 hex digits, another one when its content changes."""
    return priced.digest


def owner(priced: Priced, ema_ids: Iterable[str], owners: Mapping[str, Party]) -> Party:
    """Whose the tariff of an imported price is, towards partners.

    Args:
        ema_ids: of the operators of the connectors that it holds at.
        owners: parties by the feed's ``partner_id``, or by the partner's name where the shape has no id.
    """
    named = owners.get(priced.product.partner_id or "") or owners.get(priced.product.partner or "")
    operator = None if priced.audience is Audience.MSP_RETAIL else operator_party(ema_ids)
    return operator or named or FEED


# --- settling what says the same ------------------------------------------------------------------------------------


@frozen
class _Settled:
    """A row, or entry, in the one form that its class describes, and where its parts stood.

    Attributes:
        data: the JSON value.
        place: where it stands in the feed's row.
        elements: where each of its elements stands there.
        restrictions: the index of each element's restrictions, where they stand in a list.
    """

    data: Any
    place: Steps = ()
    elements: tuple[Steps, ...] = ()
    restrictions: Mapping[int, int] = field(factory=dict)

    def pointer(self, tokens: Sequence[str]) -> str:
        """The place in the feed's row of what stands at these tokens of the data."""
        if len(tokens) < 2 or tokens[0] != "elements" or int(tokens[1]) >= len(self.elements):
            return pointer((*self.place, *tokens))
        index, rest = int(tokens[1]), list(tokens[2:])
        if rest[:1] == ["restrictions"] and index in self.restrictions:
            rest.insert(1, str(self.restrictions[index]))
        return pointer((*self.elements[index], *rest))

    def flag(self, id: str, tokens: Sequence[str], reason: str) -> Flag:
        return Flag(id, self.pointer(tokens), reason)


def _settled_price(row: Any) -> _Settled:
    if not isinstance(row, dict):
        return _Settled(row)
    elements: list[Any] = []
    places: list[Steps] = []
    listed: dict[int, int] = {}
    for element, place in _items(row.get("elements"), ("elements",)):
        for index, restrictions in _alternatives(element):
            if index is not None:
                listed[len(elements)] = index
            elements.append({**element, "restrictions": restrictions} if isinstance(element, dict) else element)
            places.append(place)
    return _Settled({**row, "elements": elements}, elements=tuple(places), restrictions=listed)


def _settled_entry(entry: Any, place: Steps) -> _Settled:
    if not isinstance(entry, dict):
        return _Settled(entry, place)
    flat = [
        each
        for element, where in _items(entry.get("elements"), (*place, "elements"))
        for each in (_items(element, where) if isinstance(element, list) else ((element, where),))
    ]
    places = tuple(where for _, where in flat)
    return _Settled({**entry, "elements": [element for element, _ in flat]}, place, places)


def _items(given: Any, place: Steps) -> Iterator[tuple[Any, Steps]]:
    """Each item and where it stands; what stands in the place of a list counts as its only item."""
    if isinstance(given, list):
        yield from ((item, (*place, index)) for index, item in enumerate(given))
    elif given is not None:
        yield given, place


def _alternatives(element: Any) -> Iterator[tuple[int | None, Any]]:
    """The restrictions of an element, one at a time: a list of several means that any of them will do."""
    given = element.get("restrictions") if isinstance(element, dict) else None
    if not isinstance(given, list):
        yield None, _limits(given)
        return
    if not given:
        yield None, None
    yield from ((index, _limits(item)) for index, item in enumerate(given))


def _limits(restrictions: Any) -> Any:
    """Restrictions without those that restrict nothing or that nobody knows; None if nothing is left."""
    if not isinstance(restrictions, dict):
        return restrictions
    known = {name: limit for name, limit in restrictions.items() if name in _LIMITS}
    said = {name: limit for name, limit in known.items() if limit is not None and limit != []}
    for name, limit in _NO_LIMIT.items():
        if re.fullmatch(rf"{limit}(\.0*)?", str(said.get(name))):
            del said[name]
    if isinstance(said.get("day_of_week"), str):
        said["day_of_week"] = [said["day_of_week"]]
    return said or None


def _known(cls: type, settled: _Settled, now: datetime) -> Any:
    """The data without unknown fields and nulls, and settled.

    Raises:
        InvalidObject: it can't be understood.
    """
    known = validate(cls, settled.data)
    return _said(without_unknown(cls, known, _crossing(now), ""))


def _said(value: Any) -> Any:
    """A JSON value without its nulls."""
    if isinstance(value, dict):
        return {name: _said(content) for name, content in value.items() if content is not None}
    return [_said(item) for item in value] if isinstance(value, list) else value


# --- up -------------------------------------------------------------------------------------------------------------


def _priced(
    fieldmap: FieldMap, known: Any, settled: _Settled, audience: Audience, id: str, row: Any, now: datetime
) -> Priced:
    """Raises InvalidObject."""
    crossed = fieldmap.up(known, _crossing(now))
    assert not isinstance(crossed, Needs)
    subscription, doubt = _subscription(known)
    doubts = [(settled.pointer(loss.pointer.split("/")[1:]), loss.reason) for loss in crossed.losses]
    doubts += [(settled.pointer(("product", "subscription_fee_excl_vat")), doubt)] if doubt else []
    tariff = crossed.data
    doubts += suspicions(tariff["currency"], _components(known, settled), settled.pointer(("elements",)))
    doubts += odd_limits(_restrictions(known, settled))
    # A feed's order: what a partner reads of a tariff begins with whose it is.
    tariff = {"country_code": FEED.country_code, "party_id": FEED.party_id, **tariff, **words_for_partners(audience)}
    return Priced(
        tariff=tariff if "id" in tariff else {**tariff, "id": made_id(id)},
        audience=audience,
        product=_product(known),
        subscription=subscription,
        price_id=id,
        flags=tuple(Flag(id, where, reason) for where, reason in doubts),
        raw=row,
    )


def _components(known: Any, settled: _Settled) -> Iterator[Placed]:
    for index, element in enumerate(known["elements"]):
        tokens = ("elements", str(index))
        if "price_components" not in element:
            yield settled.pointer(tokens), element
            continue
        if settled.restrictions.get(index):
            continue  # the same components once more, under other restrictions
        for at, component in enumerate(element["price_components"]):
            yield settled.pointer((*tokens, "price_components", str(at))), component


def _restrictions(known: Any, settled: _Settled) -> Iterator[Placed]:
    for index, element in enumerate(known["elements"]):
        if restrictions := element.get("restrictions"):
            yield settled.pointer(("elements", str(index), "restrictions")), restrictions


def _product(known: Mapping[str, Any]) -> Product:
    product = known["product"]
    return Product(
        id=product.get("id"),
        name=product.get("name"),
        description=product.get("description"),
        type=product.get("type"),
        partner=known.get("partner"),
        partner_id=known.get("partner_id"),
    )


def _subscription(known: Mapping[str, Any]) -> tuple[Subscription, str | None]:
    """What the product costs besides, and what is wrong with that: a fee is no part of a price, so it costs nothing."""
    product = known["product"]
    word, text = product.get("subscription_type"), product.get("subscription_fee_excl_vat")
    fee, doubt = None, None
    try:
        fee = None if text is None or not text.strip() else _amount(text)
    except (InvalidOperation, ValueError):
        doubt = "no amount"
    if fee is not None and fee < 0:
        doubt = "a negative fee"
    period = _PERIODS.get((word or "").strip().lower(), Period.UNKNOWN)
    return Subscription(period=period, word=word, fee=fee, currency=product["currency"].strip().upper()), doubt


def _amount(text: str) -> Decimal:
    return Decimal(plain(Decimal(text.strip())))


def _guessed(product: Product, subscription: Subscription, operators: Collection[str]) -> Audience:
    """For whom a price of the older shape is, which doesn't say so."""
    partner = (product.partner or "").strip().casefold()
    if subscription.fee and partner and partner in {name.strip().casefold() for name in operators}:
        return Audience.CPO_SUBSCRIPTION
    return Audience.ADHOC if _says_ad_hoc(product) else Audience.MSP_RETAIL


def _says_ad_hoc(product: Product) -> bool:
    return any(text and _SAYS_AD_HOC.search(text) for text in (product.name, product.partner))


def _with_ids(id: str, prices: Sequence[Priced]) -> tuple[Priced, ...]:
    """The prices under one id, each with a tariff id of its own. The same product keeps its own in any order."""
    keeper = next((priced for priced in prices if priced.audience is Audience.ADHOC), next(iter(prices), None))
    seen: dict[str, int] = {}
    made = []
    for priced in prices:
        given = priced.product
        one_of = made_id(id, given.partner or "", given.name or "", given.description or "")
        seen[one_of] = times = seen.get(one_of, 0) + 1
        own = one_of if times == 1 else made_id(one_of, str(times))
        kept = tariff_id(id) if priced is keeper else own
        made.append(evolve(priced, tariff={**priced.tariff, "id": kept}))
    return tuple(made)


def _id(row: Any) -> str:
    given = row.get("id") if isinstance(row, dict) else None
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""


def _crossing(now: datetime) -> Crossing:
    return Crossing(facts=Facts(now=now, complete=True), policy=_POLICY, owner=None)


# --- down -----------------------------------------------------------------------------------------------------------


def _lowered(fieldmap: FieldMap, priced: Priced) -> Translated:
    """Raises Withheld."""
    # The moment is looked at on the way up only.
    crossing = _crossing(datetime.min)
    known = _said(without_unknown(Tariff, priced.tariff, crossing, ""))
    try:
        lowered = fieldmap.down(known, crossing)
    except InvalidObject as error:
        raise Withheld(str(error)) from None  # a number that can't be said: it costs this price only
    assert not isinstance(lowered, Needs)
    return lowered


def _period(subscription: Subscription) -> str | None:
    return subscription.word if subscription.word is not None else _WORDS.get(subscription.period)


def _fee_text(fee: Decimal | None) -> str | None:
    """An amount with four decimals, or with more if it has them: nothing is rounded."""
    if fee is None:
        return None
    exponent = fee.as_tuple().exponent
    return f"{fee:f}" if isinstance(exponent, int) and exponent < -_FEE_DECIMALS else f"{fee:.{_FEE_DECIMALS}f}"
