"""What the files say, joined and checked against each other: one ``LinkSettings`` for each backend and partner.

A file is checked alone by the grammar. Here is what takes two of them, or two keys: that our parties are ours, that the
roles on both sides face each other, that a registration has the tokens that its start needs, that no two links claim
the same. What only hubs have is read in ``hubs``, whether two files may claim the same stands in ``claims``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import define, evolve, field, frozen

from gateway.model.dialect import Seat
from gateway.model.modules import MODULES, Module
from gateway.model.party import Party, Role, is_supply, opposite
from gateway.model.policy import Policy
from gateway.model.share import Pilot, Share
from gateway.settings.claims import Claimant, Claims, Taken, check_moves
from gateway.settings.files import (
    Authorize,
    BackendFile,
    Commands,
    CountryCode,
    Delivery,
    GatewayFile,
    Kind,
    Limits,
    LinkFile,
    ModuleRule,
    Modules,
    PartnerFile,
    Registration,
    RoleEntry,
    Serve,
    Stage,
    Start,
)
from gateway.settings.grammar import did_you_mean, keys_of
from gateway.settings.hubs import check_hub, preferred, reached
from gateway.settings.mistakes import Place, Report, quoted
from gateway.settings.prices import check_not_of_prices
from gateway.settings.profiles import Profiles
from gateway.settings.sharing import pilot_of, share_of
from gateway.settings.urls import check_own_url, check_public

BACKEND: Final = "backend"
"""The id of the backend that stands in ``gateway.yaml``."""

HUB_AUTHORIZES: Final = timedelta(seconds=5)
"""The budget of one authorization asked of a hub."""

NO_LIMIT: Final = 1000
"""Requests under way at once to a link without a limit: more than one process can have answered in time."""

ENDPOINTS: Final = (Module.CREDENTIALS.value, *keys_of(Modules))
"""The modules that an adopted registration may have endpoints of."""


@frozen
class ModuleUse:
    """What one module does on a link.

    Attributes:
        push: whether we push what we own, and answer when they ask for it.
        accept: whether we accept what they own, and ask for it.
        serve: who answers a list of what they own.
        delivery: when a push of a backend to this link is answered.
        pull_every: how often we read their list of what they own; None: never.
        deliver_since: of CDRs: those that ended before it aren't owed to this link.
    """

    push: bool
    accept: bool
    serve: Serve = Serve.OWNER
    delivery: Delivery = Delivery.LEDGER
    pull_every: timedelta | None = None
    deliver_since: datetime | None = None


@frozen(kw_only=True)
class LinkSettings:
    """One link as configured: intent only. What a handshake yields lives in Redis and wins over the first tokens.

    Attributes:
        id: the stem of its file; ``backend`` for the one in ``gateway.yaml``.
        kind: what stands behind it.
        name: how people call it.
        versions: OCPI versions offered to it, best first; at least one.
        ours: who we are on it; towards a backend the hub.
        theirs: who is on the other side; on a backend's link, parties of ours with their business details.
        registration: how credentials are exchanged, with the first tokens.
        modules: the modules in use; one that isn't in it is off.
        country_code: how party country codes are written, where the version leaves it open.
        authorize: real-time authorization asked of it.
        limits: how much at once.
        allow_private: whether its URLs may be private addresses and plain http.
        our_url: how it reaches us, where that isn't the public URL.
        policies: its switches, by version: the profile may depend on the version in use.
        stage: how far it has come.
        commands: how long results may take.
        share: what it may see.
        pilot: what it gets in stage test and pilot.
        reaches: of a hub, whom it reaches; None is whomever it says.
        prefer: of a hub, who is reached through it although it has a link; None is all of them.
        replaces: the link that it takes over from, and ``since`` when.
    """

    id: str
    kind: Kind
    name: str
    versions: tuple[str, ...]
    ours: tuple[Seat, ...]
    theirs: tuple[Seat, ...]
    registration: Registration
    modules: Mapping[Module, ModuleUse]
    country_code: CountryCode
    authorize: Authorize
    limits: Limits
    allow_private: bool
    our_url: str | None
    policies: Mapping[str, Policy]
    stage: Stage = Stage.LIVE
    commands: Commands = field(factory=Commands)
    share: Share = field(factory=Share)
    pilot: Pilot = field(factory=Pilot)
    reaches: frozenset[Party] | None = frozenset()
    prefer: frozenset[Party] | None = frozenset()
    replaces: str | None = None
    since: datetime | None = None

    @property
    def is_backend(self) -> bool:
        return self.kind is Kind.BACKEND

    def accepts(self, module: Module) -> bool:
        """Whether the other side may send us what it owns of this module."""
        return module in self.modules and self.modules[module].accept

    @property
    def policy(self) -> Policy:
        """The switches as long as no handshake has settled on a version: those of the best one."""
        return self.policies[self.versions[0]]


@define
class Links:
    """Joins files to links. Call ``backend`` and ``partner`` for each file, then ``check``."""

    gateway: GatewayFile
    profiles: Profiles
    report: Report
    versions: Mapping[str, bool]
    taken: Taken
    found: list[LinkSettings] = field(factory=list)
    _files: dict[str, LinkFile] = field(factory=dict)
    _held: Claims[tuple[Party, Role]] = field(factory=Claims)
    _claimed: Claims[tuple[Party, Role, Party]] = field(factory=Claims)

    # One file at a time -----------------------------------------------------------------------------------------------

    def backend(self, id_: str, file: BackendFile) -> None:
        """A backend: towards it we are the hub, and it holds parties of ours."""
        self._named(id_, file)
        for entry in file.roles:
            ours = self._our(entry)
            if ours is None and self._parties_known:
                self.report.add(entry.at.place, f"{entry} isn't in `parties` of gateway.yaml: add it there")
            claimant = Claimant.of(id_, file, entry.at.place)
            if first := self._held.claim((entry.party, entry.role), claimant):
                self.report.add(entry.at.place, f"another backend holds {entry} already (see {first.place})")
        theirs = tuple(ours for entry in file.roles if (ours := self._our(entry)))
        hub = self.gateway.hub
        ours_here = (Seat(party=hub.party, role=Role.HUB, business={"name": hub.name}),) if hub else ()
        self._add(id_, file, ours_here, theirs)

    def partner(self, id_: str, file: PartnerFile) -> None:
        """A partner: towards it we are the operator."""
        self._named(id_, file)
        name = file.name or id_
        theirs = tuple(Seat(party=entry.party, role=entry.role, business={"name": name}) for entry in file.roles)
        for entry in file.roles:
            self._check_their_role(entry, file)
        check_hub(file, self._own, self.report)
        check_not_of_prices(file, self.report)
        ours = self._our_seats(file)
        if ours:
            self._check_facing(file, ours)
            self._check_headerless(file, ours)
            self._check_unique(id_, file, ours)
        self._add(id_, file, ours, theirs)

    def _add(self, id_: str, file: LinkFile, ours: tuple[Seat, ...], theirs: tuple[Seat, ...]) -> None:
        partner = file if isinstance(file, PartnerFile) else None
        modules = self._modules(file, ours, theirs) if ours and theirs else {}
        policies = self._policies(file)
        self._check_our_url(file)
        if file.registration is None:
            return
        self._check_registration(id_, file, file.registration)
        self.found.append(
            LinkSettings(
                id=id_,
                kind=partner.kind if partner else Kind.BACKEND,
                name=file.name or id_,
                versions=file.version,
                ours=ours,
                theirs=theirs,
                registration=file.registration,
                modules=modules,
                country_code=file.country_code,
                authorize=_of_a_hub(file.authorize) if partner and partner.kind is Kind.HUB else file.authorize,
                limits=file.limits if partner else _of_a_backend(file.limits),
                allow_private=file.allow_private,
                our_url=file.our_url,
                policies=policies,
                stage=partner.stage if partner else Stage.LIVE,
                commands=file.commands,
                share=share_of(file.share, self.report),
                pilot=pilot_of(partner.pilot) if partner else Pilot(),
                reaches=reached(partner) if partner else frozenset(),
                prefer=preferred(partner) if partner else frozenset(),
                replaces=file.replaces,
                since=file.from_,
            )
        )

    def _named(self, id_: str, file: LinkFile) -> None:
        self._files.setdefault(id_, file)
        self.taken.id(id_, file.at.place)

    # Parties ----------------------------------------------------------------------------------------------------------

    @property
    def _own(self) -> frozenset[Party]:
        """The gateway's own party and ours: nobody else's."""
        hub = {self.gateway.hub.party} if self.gateway.hub else set()
        return frozenset(hub | {ours.party for ours in self.gateway.parties})

    @property
    def _parties_known(self) -> bool:
        return "parties" not in self.gateway.at.broken

    def _our(self, entry: RoleEntry) -> Seat | None:
        """One of our parties as a seat, with what partners are told about it."""
        for ours in self.gateway.parties:
            if (ours.party, ours.role) == (entry.party, entry.role):
                return Seat(party=ours.party, role=ours.role, business=ours.business())
        return None

    def _our_seats(self, file: PartnerFile) -> tuple[Seat, ...]:
        """Who we are to a partner: as its file says, or the only one of us that fits. Empty after a mistake."""
        if {"our_party", "our_parties"} & file.at.broken or not self._parties_known:
            return ()
        if "our_party" in file.at and "our_parties" in file.at:
            self.report.add(file.at.entries["our_parties"].place, "`our_party` says it already: keep one of the two")
            return ()
        entries = file.our_parties or ((file.our_party,) if file.our_party else ())
        if not entries:
            return self._only_one_that_fits(file)
        seats = []
        for entry in entries:
            seat = self._our(entry)
            if seat is None:
                known = ", ".join(map(str, self.gateway.parties))
                self.report.add(entry.at.place, f"{entry} isn't in `parties` of gateway.yaml: write one of {known}")
            else:
                seats.append(seat)
        return tuple(seats) if len(seats) == len(entries) else ()

    def _only_one_that_fits(self, file: PartnerFile) -> tuple[Seat, ...]:
        if not file.roles:
            return ()
        facing = {role for entry in file.roles for role in opposite(entry.role)}
        fitting = [ours for ours in self.gateway.parties if ours.role in facing]
        if len(fitting) == 1:
            seat = self._our(fitting[0])
            return (seat,) if seat else ()
        if fitting:
            text = f"several of our parties fit ({', '.join(map(str, fitting))}): say which with `our_party`"
        else:
            text = "none of our parties in gateway.yaml has a role opposite to these: correct `role`, or add a party"
        self.report.add(file.at.place_of("roles"), text)
        return ()

    def _check_their_role(self, entry: RoleEntry, file: PartnerFile) -> None:
        place = entry.at.place_of("role")
        if entry.role is Role.HUB and file.kind is Kind.BILATERAL:
            text = "a bilateral partner is no HUB: write the role of its party, such as EMSP or CPO, or `kind: hub`"
            self.report.add(place, text)
        if entry.role is not Role.HUB and file.kind is Kind.HUB:
            self.report.add(place, "the party of a hub is a HUB: write that, and the parties behind it under `reaches`")
        if self._our(entry) is not None:
            self.report.add(entry.at.place, f"{entry} is one of our own parties: write the partner's")
        if self.gateway.hub is not None and entry.party == self.gateway.hub.party:
            self.report.add(entry.at.place, f"{entry.party} is the gateway's own hub party: write the partner's")

    def _check_facing(self, file: PartnerFile, ours: Sequence[Seat]) -> None:
        """Every party has somebody of the opposite role on the other side."""
        theirs = [entry.role for entry in file.roles]
        for entry in file.roles:
            if entry.role is not Role.HUB and not any(seat.role in opposite(entry.role) for seat in ours):
                roles = ", ".join(sorted({seat.role for seat in ours}))
                text = f"{entry.role} doesn't face us ({roles}) here: write a role opposite to ours"
                self.report.add(entry.at.place_of("role"), text)
        for seat in ours:
            if theirs and not any(role in opposite(seat.role) for role in theirs):
                place = file.at.place_of("our_parties" if file.our_parties else "our_party")
                self.report.add(place, f"{seat.party} as {seat.role} faces nobody here: write one opposite to theirs")

    def _check_headerless(self, file: PartnerFile, ours: Sequence[Seat]) -> None:
        # 2.1.1 names sender and receiver nowhere: the path tells our role, and only the owner's party.
        headerless = [version for version in file.version if not self.versions[version]]
        if not headerless:
            return
        if len({seat.role for seat in ours}) > 1:
            text = (
                f"parties of several roles can't share a link of version {headerless[0]}: write one file for each role"
            )
            self.report.add(file.at.place_of("our_parties"), text)
        elif len(backends := {first.id for seat in ours if (first := self._held.first((seat.party, seat.role)))}) > 1:
            self.report.add(
                file.at.place_of("our_parties"),
                f"parties of several backends ({', '.join(sorted(backends))}) can't share a link of version"
                f" {headerless[0]}, which doesn't say whom a message is for: write one file for each",
            )

    def _check_unique(self, id_: str, file: PartnerFile, ours: Sequence[Seat]) -> None:
        """A link is unique by our party and role and their party, but for a trial, or one that takes over."""
        for seat in ours:
            for entry in file.roles:
                if seat.role not in opposite(entry.role):
                    continue
                claimant = Claimant.of(id_, file, entry.at.place)
                if first := self._claimed.claim((seat.party, seat.role, entry.party), claimant):
                    self.report.add(
                        entry.at.place,
                        f"{seat.party} as {seat.role} has a link to {entry.party} already: keep one, or tell them"
                        f" apart by `stage` or `replaces` (see {first.place})",
                    )

    # Modules and switches ---------------------------------------------------------------------------------------------

    def _modules(self, file: LinkFile, ours: Sequence[Seat], theirs: Sequence[Seat]) -> dict[Module, ModuleUse]:
        """What each module does: push what we own, accept what they own, unless the file says less."""
        backend = not isinstance(file, PartnerFile)
        sides = _other_sides(ours, theirs)
        uses: dict[Module, ModuleUse] = {}
        for name in keys_of(Modules):
            module = Module(name)
            rule: ModuleRule | None = getattr(file.modules, name)
            push, accept = _by_role(module, sides, backend=backend, hub=Role.HUB in {seat.role for seat in theirs})
            if rule is not None:
                self._check_rule(file.modules.at.place_of(name), module, rule, push=push, accept=accept)
                push = push if rule.push is None else rule.push
                accept = accept if rule.accept is None else rule.accept
                self._check_effect(file, name, rule, push=push and not backend, accept=accept and not backend)
                self._check_pull(file, module, rule, accept=accept, theirs=theirs)
            if push or accept:
                rule = rule or ModuleRule()
                uses[module] = ModuleUse(
                    push=push,
                    accept=accept,
                    serve=rule.serve,
                    delivery=rule.delivery,
                    pull_every=rule.pull_every,
                    deliver_since=file.cdrs.deliver_since if module is Module.CDRS else None,
                )
        return uses

    def _check_rule(self, place: Place, module: Module, rule: ModuleRule, *, push: bool, accept: bool) -> None:
        owner = MODULES[module].owner
        if rule.push and not push:
            self.report.add(place, f"{module} are the {owner}'s, and that is not us here: write accept or off")
        if rule.accept and not accept:
            self.report.add(place, f"{module} are the {owner}'s, and that is us here: write push or off")

    def _check_effect(self, file: LinkFile, name: str, rule: ModuleRule, *, push: bool, accept: bool) -> None:
        """A key that would change nothing: towards a backend pushes are live, and lists come from what is stored."""
        given = rule.at.entries.keys() - rule.at.broken
        if "serve" in given and not accept:
            self.report.add(rule.at.place_of("serve"), f"{name} aren't listed there: remove it")
        if "delivery" in given and not (push and MODULES[Module(name)].ledger):
            self.report.add(rule.at.place_of("delivery"), f"{name} aren't pushed there by a backend: remove it")

    def _check_pull(
        self, file: LinkFile, module: Module, rule: ModuleRule, *, accept: bool, theirs: Sequence[Seat]
    ) -> None:
        """That there is a list to read, and that it can be told whose the objects in it are."""
        if rule.pull_every is None:
            return
        place, owner = rule.at.place_of("pull_every"), MODULES[module].owner
        if module is Module.HUB_CLIENT_INFO:
            self.report.add(place, "who is behind a hub is read without being asked for: remove it")
        elif not MODULES[module].ledger:
            self.report.add(place, f"{module} have no list: remove it")
        elif not accept:
            self.report.add(place, f"we take no {module} from there: remove it, or let them be accepted")
        parties = {seat.party for seat in theirs if is_supply(seat.role) == (owner is Role.CPO)}
        headerless = [version for version in file.version if not self.versions[version]]
        if headerless and len(parties) > 1:
            text = f"a list of version {headerless[0]} doesn't tell which of {len(parties)} parties owns what is in it"
            self.report.add(place, f"{text}: remove it, or write one file for each party")

    def _policies(self, file: LinkFile) -> dict[str, Policy]:
        place = file.at.place_of("profile")
        if "profile" in file.at.broken:
            return {}
        return {
            version: self.profiles.policy(file.profile or f"generic-{version}", place, file.quirks)
            for version in file.version
        }

    # URLs and tokens --------------------------------------------------------------------------------------------------

    def _check_our_url(self, file: LinkFile) -> None:
        if file.our_url is not None:
            check_own_url(file.our_url, file.at.place_of("our_url"), self.report)

    def _check_registration(self, id_: str, file: LinkFile, registration: Registration) -> None:
        start = registration.start
        for name, meaning in _NEEDS[start].items():
            if not getattr(registration, name) and name not in registration.at.broken:
                self.report.add(registration.at.place, f"`start: {start}` needs `{name}`: {meaning}")
        if registration.versions_url is not None and not file.allow_private:
            check_public(registration.versions_url, registration.at.place_of("versions_url"), self.report)
        self._check_endpoints(registration, allow_private=file.allow_private)
        if "token_in" in _NEEDS[start]:
            self.taken.tokens(id_, registration.token_in, registration.at.place_of("token_in"))

    def _check_endpoints(self, registration: Registration, *, allow_private: bool) -> None:
        place = registration.at.place_of("endpoints")
        if registration.endpoints and registration.start is not Start.ADOPTED:
            self.report.add(place, "endpoints are discovered: remove them, or write `start: adopted`")
        for name, url in registration.endpoints.items():
            if name not in ENDPOINTS:
                self.report.add(place, f"{quoted(name)} is no module: write {', '.join(ENDPOINTS)}")
            if not allow_private:
                check_public(url, place, self.report)

    # All of them ------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What only all files together can tell."""
        self._check_held()
        self._check_asked()
        check_moves(self._files, self.report)

    def _check_held(self) -> None:
        """That each of our parties has a backend."""
        if "backend" in self.gateway.at.broken:
            return
        for ours in self.gateway.parties:
            if self._held and self._held.first((ours.party, ours.role)) is None:
                self.report.warn(ours.at.place, f"no backend holds {ours}: what partners send it is refused")

    def _check_asked(self) -> None:
        """That the links that are asked about unknown tokens have tokens."""
        links = {link.id: link for link in self.found}
        place = self.gateway.authorize.at.place_of("unknown_tokens")
        for id_ in self.gateway.authorize.unknown_tokens:
            link = links.get(id_)
            if link is None and id_ not in self._files:
                self.report.add(
                    place, f"there is no link {quoted(id_)}{did_you_mean(id_, links) or ': write the id of one'}"
                )
            elif link is not None and (link.is_backend or not link.accepts(Module.TOKENS)):
                self.report.add(place, f"{quoted(id_)} has no tokens for us: write a link to an EMSP or a hub")


_STATIC: Final[Mapping[str, str]] = {
    "versions_url": "their versions endpoint, https://...",
    "token_out": "the token that we always send, as {env: NAME}",
    "token_in": "the token that they always send, as {env: NAME}",
}
_NEEDS: Final[Mapping[Start, Mapping[str, str]]] = {
    Start.US: {
        "versions_url": "their versions endpoint, https://...",
        "token_out": "the token A that they gave us, as {env: NAME}",
    },
    Start.THEM: {"token_in": "the token A that we gave them, as {env: NAME}"},
    Start.NONE: _STATIC,
    Start.ADOPTED: _STATIC,
}


def duplicates(entries: Sequence[RoleEntry]) -> Iterator[RoleEntry]:
    """The entries whose party and role stand earlier in the list."""
    seen: set[tuple[Party, Role]] = set()
    for entry in entries:
        if (entry.party, entry.role) in seen:
            yield entry
        seen.add((entry.party, entry.role))


def _other_sides(ours: Sequence[Seat], theirs: Sequence[Seat]) -> frozenset[bool]:
    """On which sides of the table the other side sits: True is the CPO's. A hub sits opposite to us, whoever we are."""
    sides = {is_supply(seat.role) for seat in theirs if seat.role is not Role.HUB}
    if len(sides) == 0:
        sides = {not is_supply(seat.role) for seat in ours}
    return frozenset(sides)


def _by_role(module: Module, sides: frozenset[bool], *, backend: bool, hub: bool) -> tuple[bool, bool]:
    """Whether a module is pushed and accepted, if nothing is said: (push, accept)."""
    if module is Module.HUB_CLIENT_INFO:
        # A hub tells us who is behind it; to a backend we are the hub (2.2.1 mod_hub_client_info).
        return backend, hub
    owner_is_supply = MODULES[module].owner is Role.CPO
    return (not owner_is_supply) in sides, owner_is_supply in sides


def _of_a_hub(authorize: Authorize) -> Authorize:
    """A hub has to ask somebody itself: it has more time, unless its file says how much."""
    return authorize if "timeout" in authorize.at else evolve(authorize, timeout=HUB_AUTHORIZES)


def _of_a_backend(limits: Limits) -> Limits:
    """A backend has no limit unless one is given: it is ours, and made for all of this traffic."""
    return limits if "in_flight" in limits.at else evolve(limits, in_flight=NO_LIMIT)
