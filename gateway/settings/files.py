"""The keys of every file, one class per table: the whole grammar, with what this build acts on.

``acted=False`` marks what is known and not acted on yet; using it is a mistake that says so. To make one real, act on
it, and remove the mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final

from attrs import frozen

from gateway.model.locations import ImageCategory
from gateway.model.modules import MODULES, Module
from gateway.model.party import Party, Role
from gateway.model.policy import TimeZone
from gateway.model.prices import Audience
from gateway.settings.grammar import Placed, key
from gateway.settings.text import Table
from gateway.settings.values import (
    Address,
    Country,
    Days,
    ImageType,
    LinkId,
    Name,
    Network,
    Parties,
    PartyId,
    Percent,
    Prefix,
    Reaches,
    Secret,
    TimeOfDay,
    Url,
    Version,
    positive,
    redis_form,
    token_form,
    within,
)

FUNCTIONAL: Final = tuple(module.value for module, facts in MODULES.items() if facts.functional)


class Kind(StrEnum):
    """What stands behind a link."""

    BACKEND = "backend"
    BILATERAL = "bilateral"
    HUB = "hub"
    PRICES = "prices"


class Start(StrEnum):
    """Who begins a registration."""

    US = "us"
    THEM = "them"
    NONE = "none"
    ADOPTED = "adopted"


class CountryCode(StrEnum):
    """How party country codes are written towards a partner of a version whose text leaves it open."""

    MIRROR = "mirror"
    ALPHA_2 = "alpha-2"
    ALPHA_3 = "alpha-3"


class AuthorizeMode(StrEnum):
    """Whether the eMSP is asked first, or the cache of tokens."""

    REALTIME = "realtime"
    CACHE_FIRST = "cache_first"


class OnTimeout(StrEnum):
    """What decides when the eMSP doesn't answer in time."""

    CACHED = "cached"
    DENY = "deny"
    ALLOW = "allow"


class Stage(StrEnum):
    """How far a partner has come."""

    DRAFT = "draft"
    TEST = "test"
    PILOT = "pilot"
    LIVE = "live"
    SUSPENDED = "suspended"


class Serve(StrEnum):
    """Who answers a list: the owner of its objects, or our store."""

    STORE = "store"
    OWNER = "owner"


class Delivery(StrEnum):
    """Whether a push is acknowledged once durable, or once its receiver has answered."""

    LEDGER = "ledger"
    LIVE = "live"


class Durability(StrEnum):
    """What Redis must have done before a write counts as durable."""

    FSYNC = "fsync"
    REPLICA = "replica"


class OnWeaker(StrEnum):
    """What happens when Redis can't give that."""

    REFUSE = "refuse"
    WARN = "warn"


class Shape(StrEnum):
    """Generation of a price feed."""

    OLD = "old"
    NEW = "new"


# Parties --------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class RoleEntry(Placed):
    """A party in a role."""

    role: Role = key("what the party is")
    country_code: Country = key("its country, ISO 3166-1 alpha-2")
    party_id: PartyId = key("its id, three characters")

    @property
    def party(self) -> Party:
        return Party(self.country_code, self.party_id)

    def __str__(self) -> str:
        return f"{self.party} as {self.role}"


@frozen(kw_only=True)
class Logo(Placed):
    """An image. Spec: 2.2.1 ``mod_locations``, Image class."""

    url: Url = key("where the image is")
    type: ImageType = key("png, svg, jpeg or gif")
    category: ImageCategory = key("what it shows", default=ImageCategory.OPERATOR)
    thumbnail: Url | None = key("where a small one is", default=None)
    width: int | None = key("pixels", default=None, check=positive)
    height: int | None = key("pixels", default=None, check=positive)

    def json(self) -> dict[str, Any]:
        """The Image object."""
        return _given(
            url=self.url,
            thumbnail=self.thumbnail,
            category=self.category.value,
            type=self.type,
            width=self.width,
            height=self.height,
        )


@frozen(kw_only=True)
class OurParty(RoleEntry):
    """One of us, with what partners are told of it. Spec: 2.2.1 ``mod_locations``, BusinessDetails class."""

    name: Name = key("the name of the business, as partners see it")
    website: Url | None = key("its website", default=None)
    logo: Logo | None = key("its logo", default=None)

    def business(self) -> dict[str, Any]:
        """The BusinessDetails object."""
        return _given(name=self.name, website=self.website, logo=self.logo.json() if self.logo else None)


@frozen(kw_only=True)
class Hub(Placed):
    """The gateway's own party, as backends see it."""

    country_code: Country = key("its country, ISO 3166-1 alpha-2")
    party_id: PartyId = key("its id, three characters")
    name: Name = key("the name that backends see", default=Name("OCPI gateway"))

    @property
    def party(self) -> Party:
        return Party(self.country_code, self.party_id)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


# What stands on a link ------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Registration(Placed):
    """How credentials are exchanged, and the first tokens."""

    start: Start = key(
        "who begins: we, they, nobody (static tokens, endpoints still discovered), or it was done elsewhere earlier"
    )
    versions_url: Url | None = key("their versions endpoint; needed but for `start: them`", default=None)
    token_out: Secret | None = key(
        "`us`: the token A they gave us; `none`: the token that we always send; `adopted`: the one in use",
        default=None,
        check=token_form,
    )
    token_in: tuple[Secret, ...] = key(
        "`them`: the token A we gave them; `none`: the token they always send; `adopted`: the one in use; a list while"
        " one replaces another",
        default=(),
        many=True,
        check=token_form,
    )
    requires: tuple[Module, ...] = key(
        "modules without which a handshake ends in 3003", default=(), values=FUNCTIONAL, shown="any functional one"
    )
    endpoints: Mapping[str, Url] = key(
        "`adopted`: their endpoints by module, where discovery isn't wanted", default=dict
    )


@frozen(kw_only=True)
class ModuleRule(Placed):
    """What one module does on a link."""

    SHORT: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "push": {"push": True, "accept": False},
        "accept": {"push": False, "accept": True},
        "off": {"push": False, "accept": False},
    }

    push: bool | None = key("whether we push what we own", default=None, shown="by role")
    accept: bool | None = key("whether we accept what they own", default=None, shown="by role")
    pull_every: timedelta | None = key(
        "how often we read their list of what they own", default=None, check=positive, shown="never"
    )
    serve: Serve = key("who answers a list of what they own", default=Serve.OWNER)
    delivery: Delivery = key("when a push of a backend to it is answered", default=Delivery.LEDGER)


@frozen(kw_only=True)
class Modules(Placed):
    """``push``, ``accept``, ``off`` or a table, for each module; by the roles on both sides for those left out."""

    locations: ModuleRule | None = key("owned by the CPO", default=None, shown="by role")
    tariffs: ModuleRule | None = key("owned by the CPO", default=None, shown="by role")
    sessions: ModuleRule | None = key("owned by the CPO", default=None, shown="by role")
    cdrs: ModuleRule | None = key("owned by the CPO", default=None, shown="by role")
    tokens: ModuleRule | None = key("owned by the eMSP", default=None, shown="by role")
    commands: ModuleRule | None = key("sent by the eMSP", default=None, shown="by role")
    chargingprofiles: ModuleRule | None = key("sent by the eMSP", default=None, shown="by role")
    hubclientinfo: ModuleRule | None = key("sent by hubs", default=None, shown="by role")


@frozen(kw_only=True)
class Authorize(Placed):
    """Real-time authorization asked of this link."""

    mode: AuthorizeMode = key(
        "whether the eMSP decides first, or what is cached of ALLOWED tokens", default=AuthorizeMode.REALTIME
    )
    timeout: timedelta = key(
        "the whole budget of one authorization", default=timedelta(seconds=2), check=positive, shown="2s; of a hub 5s"
    )
    on_timeout: OnTimeout = key("what decides when no answer came in time", default=OnTimeout.CACHED)
    cache_max_age: timedelta = key(
        "how old what we know of its tokens may be", default=timedelta(hours=24), check=positive
    )


@frozen(kw_only=True)
class Limits(Placed):
    """How much at once, and how fast."""

    in_flight: int = key(
        "requests under way to this link at once", default=4, check=positive, shown="4; of a backend: no limit"
    )
    requests_per_second: int | None = key(
        "requests that we send per second", default=20, acted=False, check=positive, shown="20; of a backend: no limit"
    )
    inbound: int | None = key(
        "requests per second that it may send", default=None, acted=False, check=positive, shown="no limit"
    )
    page: int = key("objects on one page at most", default=1000, check=positive)


@frozen(kw_only=True)
class Selection(Placed):
    """Which objects, by id, EVSE-id prefix or operator name."""

    only: tuple[str, ...] = key("these and no others", default=(), shown="all")
    except_: tuple[str, ...] = key("all but these", default=())


@frozen(kw_only=True)
class TariffSelection(Placed):
    """Which tariffs, and under which ids."""

    only: tuple[str, ...] = key("these and no others", default=(), shown="all")
    map: Mapping[str, str] = key("ids that are shown under another one", default=dict)


@frozen(kw_only=True)
class Share(Placed):
    """What this partner may see."""

    locations: Selection = key("which locations", default=Selection, shown="all")
    tariffs: TariffSelection = key("which tariffs", default=TariffSelection, shown="all")


@frozen(kw_only=True)
class Commands(Placed):
    """Commands on this link."""

    timeout: timedelta = key("how long a result may take", default=timedelta(seconds=30), check=positive)


@frozen(kw_only=True)
class Cdrs(Placed):
    """CDRs on this link."""

    deliver_since: datetime | None = key(
        "CDRs that ended before it are not owed to it; it may list them", default=None, shown="all"
    )


@frozen(kw_only=True)
class Tls(Placed):
    """Certificates towards this link."""

    ca: Path | None = key("whom we trust, PEM", default=None, shown="the system's")
    cert: Path | None = key("our client certificate, PEM", default=None)
    key: Path | None = key("its key, PEM", default=None)


@frozen(kw_only=True)
class LinkFile(Placed):
    """The keys that partners and backends have in common."""

    name: Name | None = key("how people call it", default=None, shown="the id")
    version: tuple[Version, ...] = key(
        "OCPI version, or a list of those offered, best first", default=(), required=True, many=True
    )
    roles: tuple[RoleEntry, ...] = key("the parties on the other side", default=(), required=True)
    registration: Registration | None = key("how credentials are exchanged", default=None, required=True)
    profile: str | None = key("a set of switches, from `profiles/`", default=None, shown="generic-VERSION")
    quirks: Table | None = key("single switches over the profile, by their dotted names", default=None)
    modules: Modules = key("what is pushed and accepted", default=Modules, shown="by role")
    authorize: Authorize = key("real-time authorization", default=Authorize)
    limits: Limits = key("how much at once, and how fast", default=Limits)
    country_code: CountryCode = key(
        "how party country codes are written towards 2.1.1: as they do, or as said here", default=CountryCode.MIRROR
    )
    allow_private: bool = key("whether its URLs may be private addresses and plain http", default=False)
    our_url: Url | None = key("how it reaches us", default=None, shown="public_url")
    commands: Commands = key("commands", default=Commands)
    cdrs: Cdrs = key("CDRs", default=Cdrs)
    share: Share = key("what it may see", default=Share, shown="everything")
    tls: Tls | None = key("certificates", default=None, acted=False)
    proxy: Url | None = key("HTTP proxy on the way to it", default=None, acted=False)
    allow_from: tuple[Network, ...] = key("networks that it may call from", default=(), acted=False, shown="any")
    replaces: LinkId | None = key("the link that this one takes over from", default=None)
    from_: datetime | None = key("when it takes over: sessions that began before end on the other", default=None)


@frozen(kw_only=True)
class BackendFile(LinkFile):
    """``backends/ID.yaml``, or ``backend:`` in ``gateway.yaml``: one of our own core platforms."""


# Prices ---------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Window(Placed):
    """When a feed may be read: working hours of its owner, unless more is said."""

    SHORT: ClassVar[Mapping[str, Mapping[str, Any]]] = {"always": {"days": "mon-sun", "from_": "00:00", "to": "00:00"}}

    days: Days = key("days of the week", default=Days("mon-fri"))
    from_: TimeOfDay = key("not before", default=TimeOfDay("09:00"))
    to: TimeOfDay = key("before then; of the next day, if it isn't later than `from`", default=TimeOfDay("17:00"))
    time_zone: TimeZone = key("of these times", default=TimeZone("Europe/Amsterdam"))


@frozen(kw_only=True)
class RefuseFeed(Placed):
    """When a whole run is refused, and what was read before stays."""

    shrink: Percent = key(
        "share of a list's rows that may vanish from one run to the next", default=Percent(0.20), shown="`20%`"
    )
    dangling: Percent = key(
        "share of the prices named by connectors that may be missing", default=Percent(0.02), shown="`2%`"
    )


@frozen(kw_only=True)
class Feed(Placed):
    """A price feed that we read."""

    shape: Shape = key("generation of its prices")
    version: str = key("version of its locations", values=("2.1.1", "2.2"))
    locations_url: Url = key("its locations")
    prices_url: Url = key("its prices")
    connector_prices_url: Url | None = key(
        "which price holds where: needed by `shape: new`, which alone has it", default=None
    )
    token: Secret = key("what we send", check=token_form)
    token_in: tuple[Secret, ...] = key(
        "what it sends with statuses that it pushes; a list while one replaces another; left out: it can't push",
        default=(),
        many=True,
        check=token_form,
    )
    scheme: str = key("scheme of our Authorization header", default="Token", values=("Token", "Bearer"))
    every: timedelta = key("how often it is read", default=timedelta(hours=24), check=positive)
    window: Window = key(
        "when it may be read; keys left out of the table are those of the default",
        default=Window,
        shown="mon-fri 09:00-17:00 Europe/Amsterdam",
    )
    page_limit: int = key(
        "rows to ask for on a page, up to 10000; of locations and of `shape: old` never more than 1000",
        default=1000,
        check=within(1, 10_000),
    )
    refuse: RefuseFeed = key("when a whole run is refused, and what was read before stays", default=RefuseFeed)
    retire_after: timedelta = key(
        "how long a tariff that left the feed stays", default=timedelta(hours=48), check=positive
    )


@frozen(kw_only=True)
class Consumer(Placed):
    """Somebody whom we serve prices."""

    token_in: tuple[Secret, ...] = key(
        "the token that it sends; a list while one replaces another", many=True, check=token_form
    )
    audience: tuple[Audience, ...] = key(
        "whose prices it sees",
        default=(Audience.ADHOC,),
        some=True,
        values=tuple(audience.value for audience in Audience if audience is not Audience.UNKNOWN),
    )
    redistribute: bool = key("whether it sees what came from a feed, too", default=False)


@frozen(kw_only=True)
class Pilot(Placed):
    """What a partner in stage test or pilot gets by broadcast and open routing."""

    locations: tuple[str, ...] = key("locations, by id", default=())
    tokens: tuple[str, ...] = key("tokens, by uid", default=())


@frozen(kw_only=True)
class PartnerFile(LinkFile):
    """``partners/ID.yaml``: one partner, one file."""

    kind: Kind = key(
        "what stands behind it",
        default=Kind.BILATERAL,
        values=(Kind.BILATERAL, Kind.HUB, Kind.PRICES),
    )
    our_party: RoleEntry | None = key("who we are to it", default=None, shown="the only one that fits")
    our_parties: tuple[RoleEntry, ...] = key(
        "several of us; of one role on 2.1.1", default=(), shown="the only one that fits"
    )
    stage: Stage = key("how far it has come", default=Stage.LIVE)
    pilot: Pilot = key("what it gets in stage test and pilot, besides what is addressed to it", default=Pilot)
    reaches: tuple[Reaches, ...] = key('of a hub: whom it reaches, or `"*"`: whomever it says', default=(), some=True)
    prefer: tuple[Parties, ...] = key(
        "of a hub: parties that are reached through it although they have a link", default=(), many=True, some=True
    )
    feed: Feed | None = key("of prices: a feed that we read", default=None)
    consumer: Consumer | None = key("of prices: somebody whom we serve", default=None)
    owners: Mapping[str, Party] = key(
        "of a feed: whose its tariffs are where it can't say: {partner_id: CC-PID}", default=dict
    )


# gateway.yaml ---------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Admin(Placed):
    """The listener of operators."""

    listen: Address = key("where it listens", default=Address("127.0.0.1", 9090))
    token: Secret | None = key("needed when it listens off loopback", default=None, check=token_form)


@frozen(kw_only=True)
class RedisSettings(Placed):
    """Where what must not be lost is kept."""

    url: Secret | None = key(
        "redis://host:6379/0, unix:///path, redis+sentinel://host:26379,host2:26379/service,"
        " redis+cluster://host:6379,host2:6379; with rediss over TLS; a reference if it holds a password",
        default=None,
        plain=True,
        check=redis_form,
        shown="an own, durable redis-server",
    )
    prefix: Prefix = key("how all keys begin", default=Prefix("og"))
    cache_url: Secret | None = key(
        "a second one, for partners' tokens, locations and tariffs, which can be had again: a flood of them then can't"
        " stop CDRs",
        default=None,
        plain=True,
        check=redis_form,
        shown="none, all lies in `redis.url`",
    )
    durability: Durability = key(
        "what makes a write durable: `fsync`, it is on disk (appendonly yes, appendfsync always), or `replica`, a"
        " replica has confirmed it; never with an eviction policy",
        default=Durability.FSYNC,
    )
    on_weaker: OnWeaker = key(
        "what if Redis can't give that, or doesn't tell: `refuse` to start, and later to acknowledge, or `warn`",
        default=OnWeaker.REFUSE,
    )


@frozen(kw_only=True)
class GatewayAuthorize(Placed):
    """Authorization of tokens that nobody announced."""

    unknown_tokens: tuple[LinkId, ...] = key("links that are asked, in order", default=(), shown="nobody")


@frozen(kw_only=True)
class Secrets(Placed):
    """How stored secrets are sealed."""

    key: Secret = key("seals outbound tokens at rest")


@frozen(kw_only=True)
class Events(Placed):
    """Where changes of a CDR's state are reported, at least once each."""

    url: Url = key("where they are posted")
    token: Secret | None = key("what goes along", default=None, check=token_form)


@frozen(kw_only=True)
class GatewayFile(Placed):
    """``gateway.yaml``."""

    public_url: Url = key("what partners see; never taken from a request", default=Url(""), required=True)
    hub: Hub | None = key("the gateway's own party, as backends see it", default=None, required=True)
    parties: tuple[OurParty, ...] = key("who we are", default=(), required=True)
    backend: BackendFile | None = key("the only backend; several are files in `backends/`", default=None)
    listen: Address = key("where partners and backends reach us", default=Address("0.0.0.0", 8080))  # noqa: S104
    admin: Admin = key("health, metrics, console", default=Admin)
    redis: RedisSettings = key("where state is kept", default=RedisSettings)
    authorize: GatewayAuthorize = key("tokens that nobody announced", default=GatewayAuthorize)
    secrets: Secrets | None = key("how stored secrets are sealed", default=None, acted=False)
    events: Events | None = key("where changes of CDRs are reported", default=None)
    aliases: Mapping[str, str] = key("old paths that stay alive: {/old/path: /ocpi/path}", default=dict)
    time_zone: TimeZone = key("of schedules", default=TimeZone("UTC"))


@frozen(kw_only=True)
class ProfileFile(Placed):
    """``profiles/NAME.yaml``: a set of switches with the reason for it."""

    about: str = key("whose habits these are")
    extends: str | None = key("another profile that comes first", default=None)
    evidence: tuple[str, ...] = key("how we know: documents, captures, dates", default=())
    quirks: Table | None = key("switches by their dotted names", default=None)
