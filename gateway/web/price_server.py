"""The door of those who read prices: a feed of our own, in both shapes of Eco-Movement.

    /eco-movement/prices   /eco-movement/prices/{id}   /eco-movement/prices/connector_prices        the newer shape
    /eco-movement/2.1.1/prices   /eco-movement/2.1.1/prices/{id}   /eco-movement/2.1.1/locations    the older one

Only a consumer's token opens it, and it opens nothing else. What a consumer sees is its view (``gateway.catalogue``);
here is who asks, for what part of it, and where the next part is. Every answer has the envelope of its shape, errors
too: a parameter that is no good is 2001 and named, an id that isn't there any more HTTP 404 with 2001, and while Redis
is away it is 3000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web
from attrs import evolve, frozen
from prometheus_client import Counter

from gateway.catalogue import Catalogue, Listing, View
from gateway.model.errors import GatewayError, InvalidObject, NotAllowed, NotFound, ReceiverError, Unauthorized
from gateway.model.message import HttpAnswer, Paged
from gateway.model.modules import Verb
from gateway.model.urls import with_query
from gateway.ports import PriceShapes
from gateway.settings.prices import ConsumerSettings
from gateway.web.answers import respond, respond_list
from gateway.web.asked import check_method, check_single, single_query
from gateway.web.identity import Doorkeeper

log = structlog.get_logger()

ROOT: Final = "eco-movement"
"""The first segment of its paths."""

_CURSOR: Final = "cursor"
_AFTER: Final = "last_record"
_NOWHERE: Final = "none"

REQUESTS: Final = Counter(
    "ocpi_gateway_price_requests",
    "Requests for prices that we serve, by consumer, what they asked for, and the OCPI status of the answer.",
    ("partner", "endpoint", "status"),
)


@frozen
class _Endpoint:
    """What is served at a path.

    Attributes:
        name: as metrics and logs have it.
        new: whether it is of the newer shape.
        id: of the one row that is asked for; None: the list.
    """

    name: str
    listing: Listing
    new: bool
    id: str | None = None

    @property
    def has_ids(self) -> bool:
        """Whether a row has an id of its own, after which a list can go on."""
        return self.listing is not Listing.CONNECTOR_PRICES


class PriceServer:
    """Everything under ``/eco-movement``."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        shapes: PriceShapes,
        doorkeeper: Doorkeeper,
        consumers: Callable[[], Sequence[ConsumerSettings]],
        url: Callable[[], str],
    ) -> None:
        """The parts that it needs.

        Args:
            consumers: who may read, as of now.
            url: of the gateway, as others see it; without a slash at its end.
        """
        self._catalogue = catalogue
        self._shapes = shapes
        self._doorkeeper = doorkeeper
        self._consumers = consumers
        self._url = url

    async def answer(self, request: web.Request, path: tuple[str, ...]) -> web.StreamResponse:
        """The answer to a request, whatever it is.

        Args:
            path: its segments behind ``eco-movement``.
        """
        new = path[:1] != (self._shapes.VERSION,)
        consumer: ConsumerSettings | None = None
        endpoint: _Endpoint | None = None
        try:
            consumer = self._admit(request)
            check_single(request)
            endpoint = self._endpoint(path)
            check_method(request, Verb.GET)
            response = await self._serve(consumer, endpoint, path, single_query(request))
        except GatewayError as error:
            _tell(request, consumer, endpoint, error)
            return self._refused(error, new=new)
        except Exception as error:
            # Not one of ours: a bug. The caller gets an envelope all the same; the log gets the whole story.
            log.exception("request.crashed", partner=consumer.id if consumer else None, error=type(error).__name__)
            return self._refused(ReceiverError("internal error; it is in the gateway's log"), new=new)
        _tell(request, consumer, endpoint)
        return response

    def _admit(self, request: web.Request) -> ConsumerSettings:
        caller = self._doorkeeper.admit_consumer(request.headers.getall("Authorization", []))
        for consumer in self._consumers():
            if consumer.id == caller.link:
                return consumer
        raise Unauthorized("no valid credentials token")

    def _endpoint(self, path: tuple[str, ...]) -> _Endpoint:
        match path:
            case ("prices",):
                return _Endpoint("prices", Listing.PRICES, new=True)
            case ("prices", "connector_prices"):
                return _Endpoint("connector_prices", Listing.CONNECTOR_PRICES, new=True)
            case ("prices", id):
                return _Endpoint("prices/{id}", Listing.PRICES, new=True, id=id)
            case (self._shapes.VERSION, "prices"):
                return _Endpoint("old prices", Listing.OLD_PRICES, new=False)
            case (self._shapes.VERSION, "prices", id):
                return _Endpoint("old prices/{id}", Listing.OLD_PRICES, new=False, id=id)
            case (self._shapes.VERSION, "locations"):
                return _Endpoint("locations", Listing.LOCATIONS, new=False)
        raise NotFound("nothing is served here; there are prices, prices/connector_prices, and locations")

    async def _serve(
        self, consumer: ConsumerSettings, endpoint: _Endpoint, path: Sequence[str], query: Mapping[str, str]
    ) -> web.StreamResponse:
        view = View(consumer.audience, consumer.redistribute)
        if endpoint.id is None:
            return await self._list(view, endpoint, path, query)
        row = await self._catalogue.row(view, endpoint.listing, endpoint.id)
        if row is None:
            raise NotFound("no such price: it has changed and has another id now, or there never was one")
        return respond(self._shapes.write_one(msgspec.Raw(row), new=endpoint.new))

    async def _list(
        self, view: View, endpoint: _Endpoint, path: Sequence[str], query: Mapping[str, str]
    ) -> web.StreamResponse:
        wanted = self._shapes.read_wanted(query, self._shapes.MOST_NEW if endpoint.new else self._shapes.MOST_OLD)
        if wanted.after is not None and not endpoint.has_ids:
            raise InvalidObject(_AFTER, "these rows have no id: follow the Link, or use offset")
        section = await self._catalogue.section(view, endpoint.listing, wanted, query.get(_CURSOR) or None)
        following = None
        if section.further is not None:
            cursor, offset = section.further
            further = {"limit": str(wanted.limit), "offset": str(offset), _CURSOR: cursor}
            following = with_query("/".join([self._url(), ROOT, *path]), further)
        page = Paged(total=section.total, limit=wanted.limit, next=following)
        written = self._shapes.write_list((), page, new=endpoint.new)
        envelope = {name: said for name, said in written.body.items() if name != "data"}

        def ended(error: GatewayError) -> HttpAnswer:
            return self._shapes.write_refusal(error.status, error.http, error.message, new=endpoint.new)

        return respond_list(evolve(written, body=envelope), section.rows, ended)

    def _refused(self, error: GatewayError, *, new: bool) -> web.Response:
        refusal = self._shapes.write_refusal(error.status, error.http, error.message, new=new)
        return respond(refusal, allow=error.allow if isinstance(error, NotAllowed) else ())


def _tell(
    request: web.Request,
    consumer: ConsumerSettings | None,
    endpoint: _Endpoint | None,
    error: GatewayError | None = None,
) -> None:
    """One line, and the metric."""
    status = error.status if error else 1000
    name = endpoint.name if endpoint else _NOWHERE
    facts: dict[str, Any] = {"partner": consumer.id if consumer else None, "endpoint": name, "method": request.method}
    if consumer is not None:
        REQUESTS.labels(consumer.id, name, str(status)).inc()
    if error is None:
        log.info("prices.served", **facts, status=status)
    else:
        log.info("request.refused", **facts, http=error.http, status=status, reason=error.message)
