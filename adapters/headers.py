"""Headers of requests and answers: who sends to whom, and the ids of a message.

The routing headers are 2.2.1's. Hubs that speak 2.1.1 took them over, so a 2.1.1 backend, whose hub we are, may use
them too; they are spelled the same.

Spec: 2.2.1 ``transport_and_format``, Message Routing Headers and Unique message IDs. 2.1.1 has none of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from gateway.model.errors import InvalidObject
from gateway.model.message import Headers, Trace, is_plain
from gateway.model.party import Party


@frozen
class Pair:
    """A pair of routing headers that names one party. Half a pair names nobody."""

    country_code: str
    party_id: str

    def read(self, headers: Headers) -> Party | None:
        """The party, from alpha-2 or alpha-3, any case; None if neither header is there.

        Raises:
            InvalidObject: one is there without the other, or they name no party (2001).
        """
        country, party_id = headers.get(self.country_code, ""), headers.get(self.party_id, "")
        if not country and not party_id:
            return None
        for name, value in ((self.country_code, country), (self.party_id, party_id)):
            if not value:
                raise InvalidObject(name, "required, the other half of the pair is there")
            if not value.isascii():
                raise InvalidObject(name, "expected letters and digits of ASCII")
        try:
            return Party.of(country, party_id)
        except ValueError as error:
            raise InvalidObject(self.country_code, str(error)) from None

    def write(self, party: Party | None, country: Callable[[str], str]) -> dict[str, str]:
        """The headers that name a party (None: no headers); ``country`` spells its country code."""
        if party is None:
            return {}
        return {self.country_code: country(party.country_code), self.party_id: party.party_id}


TO: Final = Pair("OCPI-to-country-code", "OCPI-to-party-id")
FROM: Final = Pair("OCPI-from-country-code", "OCPI-from-party-id")


def read_trace(headers: Headers) -> Trace:
    """The ids of a request, empty where it has none: adapters don't make up ids.

    One that no header could carry on counts as none: it would stop the message at the next hop.
    """
    request_id, correlation_id = (headers.get(name, "") for name in ("X-Request-ID", "X-Correlation-ID"))
    return Trace(
        request_id=request_id if is_plain(request_id) else "",
        correlation_id=correlation_id if is_plain(correlation_id) else "",
    )


def sent_back(headers: Headers) -> dict[str, str]:
    """The routing headers of the answer to a request that couldn't be opened: its own, swapped, whoever they name.

    Spec: 2.2.1 ``transport_and_format``, Message Routing: an answer goes from its TO to its FROM.
    """
    sender, receiver = ((headers.get(pair.country_code, ""), headers.get(pair.party_id, "")) for pair in (FROM, TO))
    if not all(map(is_plain, sender)):
        return {}
    swapped = dict(zip((TO.country_code, TO.party_id), sender, strict=True))
    if all(map(is_plain, receiver)):
        swapped |= zip((FROM.country_code, FROM.party_id), receiver, strict=True)
    return swapped


def write_trace(trace: Trace) -> dict[str, str]:
    """The headers for the ids of a message: on its request, and again on the answer to it."""
    pairs = {"X-Request-ID": trace.request_id, "X-Correlation-ID": trace.correlation_id}
    return {name: value for name, value in pairs.items() if value}
