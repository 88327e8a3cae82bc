"""From a folder of files to ``Settings``, or to everything that is wrong with it.

The order is that of a person reading: ``gateway.yaml``, the backends, the partners, the profiles. Shipped examples end
in ``.yaml.example`` and are never read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from attrs import field, frozen

from gateway.model.dialect import Seat
from gateway.model.party import Party, Role
from gateway.settings.claims import Taken
from gateway.settings.files import (
    Admin,
    BackendFile,
    Durability,
    Events,
    GatewayFile,
    Kind,
    LinkFile,
    OnWeaker,
    OurParty,
    PartnerFile,
    RedisSettings,
)
from gateway.settings.grammar import Reader
from gateway.settings.links import BACKEND, Links, LinkSettings, duplicates
from gateway.settings.mistakes import Mistake, Mistakes, Place, Report, quoted
from gateway.settings.prices import ConsumerSettings, FeedSettings, Prices, meaningful
from gateway.settings.profiles import Profiles
from gateway.settings.text import Table, Text, read_table
from gateway.settings.urls import check_own_url
from gateway.settings.values import LINK_ID, Address

GATEWAY: Final = "gateway.yaml"
FILE_VERSION_KEYS: Final = frozenset({"version", "roles", "registration"})

_PATH: Final = r"(/[A-Za-z0-9._~%-]+)+/?"

L = TypeVar("L", bound=LinkFile)


@frozen(kw_only=True)
class Settings:
    """The configuration, typed, checked and complete.

    Attributes:
        folder: where it was read.
        public_url: what partners see, no trailing slash.
        listen: where partners and backends reach us.
        admin: the listener of operators; its token is given wherever it isn't on loopback.
        redis: where state is kept; without ``url`` the gateway starts its own server.
        hub: the gateway's own party.
        parties: who we are.
        links: backends first, then partners, each by id.
        feeds: price feeds that we read, by id.
        consumers: whom we serve prices, by id.
        unknown_tokens: the links that are asked about a token that nobody announced, in order.
        events: where changes of CDRs are reported, if anywhere.
        aliases: old paths that stay alive, and the paths of ours that they mean; no trailing slashes.
        secret_files: the files that secrets were read from; when one changes, the configuration is read again.
        warnings: what is allowed and perhaps not meant.
    """

    folder: Path
    public_url: str
    listen: Address
    admin: Admin
    redis: RedisSettings
    hub: Party
    parties: tuple[Seat, ...]
    links: tuple[LinkSettings, ...]
    feeds: tuple[FeedSettings, ...] = ()
    consumers: tuple[ConsumerSettings, ...] = ()
    unknown_tokens: tuple[str, ...] = ()
    events: Events | None = None
    aliases: Mapping[str, str] = field(factory=dict)
    time_zone: str = "UTC"
    secret_files: tuple[Path, ...] = ()
    warnings: tuple[Mistake, ...] = ()

    @property
    def backends(self) -> tuple[LinkSettings, ...]:
        return tuple(link for link in self.links if link.is_backend)

    @property
    def partners(self) -> tuple[LinkSettings, ...]:
        return tuple(link for link in self.links if not link.is_backend)

    @property
    def prices(self) -> tuple[FeedSettings | ConsumerSettings, ...]:
        """What stands among the partners' files and is no link: feeds, then consumers."""
        return (*self.feeds, *self.consumers)


def find_config(given: Path | None = None) -> Path:
    """The folder to read: the one that was named, or ``./config``."""
    return given or Path("config")


def shipped_config() -> Path:
    """The ``config`` folder that comes with the gateway, installed or from a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_share" / "config"
    return installed if installed.is_dir() else package.parent / "config"


def load(
    folder: Path, versions: Mapping[str, bool], environ: Mapping[str, str] | None = None, *, strict: bool = False
) -> Settings:
    """Read all configuration.

    Args:
        folder: holds ``gateway.yaml``, ``backends/``, ``partners/`` and ``profiles/``.
        versions: the OCPI versions that there are adapters for, and whether each names sender and receiver in headers.
        environ: what ``{env: NAME}`` and ``${NAME}`` see; the process's environment if left out.
        strict: whether a literal secret is a mistake.

    Raises:
        Mistakes: it can't be used; has every mistake.
    """
    report = Report()
    environ = os.environ if environ is None else environ
    reader = Reader(report, tuple(versions), environ, folder, strict)
    loader = _Loader(folder, reader, versions)
    settings = loader.settings()
    if report.mistakes or settings is None:
        raise Mistakes(report.in_order(report.mistakes))
    return settings


class _Loader:
    def __init__(self, folder: Path, reader: Reader, versions: Mapping[str, bool]) -> None:
        self._folder = folder
        self._reader = reader
        self._report = reader.report
        self._versions = versions

    def settings(self) -> Settings | None:
        gateway = self._gateway()
        backends = list(self._files("backends", BackendFile))
        partners = list(self._files("partners", PartnerFile))
        profiles = self._profiles()
        if gateway is None:
            return None
        if gateway.backend is not None:
            backends.insert(0, (BACKEND, gateway.backend))
        self._check_gateway(gateway)
        taken = Taken(self._report)
        links, prices = Links(gateway, profiles, self._report, self._versions, taken), Prices(self._report, taken)
        for id_, backend in backends:
            links.backend(id_, backend)
        for id_, partner in partners:
            joined = prices if partner.kind is Kind.PRICES else links
            joined.partner(id_, partner)
        links.check()
        return self._settled(gateway, links, prices) if not self._report.mistakes else None

    def _settled(self, gateway: GatewayFile, links: Links, prices: Prices) -> Settings | None:
        if gateway.hub is None:
            return None
        return Settings(
            folder=self._folder,
            public_url=gateway.public_url.rstrip("/"),
            listen=gateway.listen,
            admin=gateway.admin,
            redis=gateway.redis,
            hub=gateway.hub.party,
            parties=tuple(Seat(party=p.party, role=p.role, business=p.business()) for p in gateway.parties),
            links=tuple(links.found),
            feeds=tuple(prices.feeds),
            consumers=tuple(prices.consumers),
            unknown_tokens=gateway.authorize.unknown_tokens,
            events=gateway.events,
            aliases={old.rstrip("/"): new.rstrip("/") for old, new in gateway.aliases.items()},
            time_zone=gateway.time_zone,
            secret_files=tuple(sorted(self._reader.secret_files)),
            warnings=self._report.in_order(self._report.warnings),
        )

    # Files ------------------------------------------------------------------------------------------------------------

    def _gateway(self) -> GatewayFile | None:
        path = self._folder / GATEWAY
        if not path.exists():
            self._report.add(
                Place(str(path)),
                "there is no such file: copy gateway.yaml.example to it, or name another folder with --config",
            )
            return None
        table = read_table(path, str(path), self._report)
        return self._reader.table(GatewayFile, table) if table else None

    def _files(self, folder: str, cls: type[L]) -> Iterator[tuple[str, L]]:
        """The files of links in one folder, by id."""
        for path in self._yaml_files(folder):
            table = read_table(path, str(path), self._report)
            if not re.fullmatch(LINK_ID, path.stem):
                self._report.add(
                    Place(str(path)),
                    f"{quoted(path.stem)} can't be an id: rename the file, to small letters, digits, and . _ - within",
                )
                continue
            if table is None:
                continue
            of_prices = issubclass(cls, PartnerFile) and self._is_of_prices(table)
            if of_prices:
                table = meaningful(table, self._report)
            file = self._reader.table(cls, table, excused=FILE_VERSION_KEYS if of_prices else frozenset())
            # Without its kind nobody knows what else a file needs: that is the one mistake to tell.
            if file is not None and "kind" not in table.broken:
                yield path.stem, file

    def _is_of_prices(self, table: Table) -> bool:
        kind = table.entries.get("kind")
        return (
            kind is not None and isinstance(kind.value, Text) and self._reader.expanded(kind.value) == Kind.PRICES.value
        )

    def _yaml_files(self, folder: str) -> Iterator[Path]:
        try:
            paths = sorted((self._folder / folder).iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            self._report.add(Place(str(self._folder / folder)), f"can't be read ({error.strerror}): check its rights")
            return
        for path in paths:
            if path.name.startswith("."):
                continue
            if path.suffix == ".yml":
                self._report.add(Place(str(path)), "files end in .yaml here: rename it, or it is not read")
            if path.suffix == ".yaml":
                yield path

    def _profiles(self) -> Profiles:
        profiles = Profiles(self._reader)
        shipped = shipped_config() / "profiles"
        own = self._folder / "profiles"
        if own.resolve() != shipped:  # the folder may be the shipped one itself
            profiles.read((path, str(path)) for path in sorted(shipped.glob("*.yaml")))
        profiles.read((path, str(path)) for path in self._yaml_files("profiles"))
        profiles.check()
        return profiles

    # gateway.yaml against itself --------------------------------------------------------------------------------------

    def _check_gateway(self, gateway: GatewayFile) -> None:
        at = gateway.at
        any_backend = "backend" in at or any((self._folder / "backends").glob("*.yaml"))
        if gateway.public_url:
            check_own_url(gateway.public_url, at.place_of("public_url"), self._report)
        if not any_backend:
            self._report.add(at.place, "`backend` is missing: write it here, or put a file into backends/")
        self._check_admin(gateway)
        self._check_redis(gateway.redis)
        self._check_parties(gateway)
        self._check_aliases(gateway)

    def _check_admin(self, gateway: GatewayFile) -> None:
        admin = gateway.admin
        place = admin.at.place_of("listen") if "admin" in gateway.at else gateway.at.place
        if not admin.listen.loopback and admin.token is None and "token" not in admin.at.broken:
            self._report.add(place, "off loopback the admin listener needs `token`: add token: {env: NAME}")
        if admin.listen == gateway.listen and admin.listen.port:
            self._report.add(place, "the same address as `listen`: give the admin listener one of its own")

    def _check_redis(self, redis: RedisSettings) -> None:
        """That what is asked of Redis can be had, and that whoever asks for less reads what that means."""
        if redis.cache_url is not None and redis.url is not None and redis.cache_url.value == redis.url.value:
            self._report.add(redis.at.place_of("cache_url"), "the same as `url`: name another Redis, or leave it out")
        if redis.url is None and redis.durability is Durability.REPLICA and "url" not in redis.at.broken:
            text = "our own redis-server has no replica: write `url` too, or leave this out"
            self._report.add(redis.at.place_of("durability"), text)
        if redis.on_weaker is OnWeaker.WARN:
            text = "with a weaker Redis, what was acknowledged may be lost in a crash, CDRs too"
            self._report.warn(redis.at.place_of("on_weaker"), text)

    def _check_aliases(self, gateway: GatewayFile) -> None:
        """That an alias is a path, isn't one of ours, and leads to one of ours."""
        place = gateway.at.place_of("aliases")
        for old, new in gateway.aliases.items():
            for path in (old, new):
                if not re.fullmatch(_PATH, path) or {".", ".."} & set(path.split("/")):
                    self._report.add(place, f"{quoted(path)} is not a path: write /one/two, without a query")
            if self._is_ours(old):
                self._report.add(place, f"{quoted(old)} is a path of ours already: remove it")
            if not self._is_ours(new):
                self._report.add(
                    place, f"{quoted(new)} is no path of ours: write one below /ocpi, such as /ocpi/versions"
                )

    def _is_ours(self, path: str) -> bool:
        root, *below = path.strip("/").split("/")
        return root == "ocpi" and (not below or below[0] in (*self._versions, "versions"))

    def _check_parties(self, gateway: GatewayFile) -> None:
        for entry in duplicates(gateway.parties):
            self._report.add(entry.at.place, f"{entry} again: keep one")
        for entry in gateway.parties:
            self._check_party(gateway, entry)

    def _check_party(self, gateway: GatewayFile, entry: OurParty) -> None:
        if entry.role is Role.HUB:
            self._report.add(entry.at.place_of("role"), "our own hub party stands under `hub`: remove it here")
        elif gateway.hub is not None and entry.party == gateway.hub.party:
            text = f"{entry.party} is the gateway's hub party too: give `hub` a party_id of its own"
            self._report.add(entry.at.place, text)
