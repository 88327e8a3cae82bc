"""A peer: one platform on loopback that speaks OCPI, with the handles to drive it and to look inside.

    async with Peer("acme", "2.1.1", "EMSP", "DEU", "ACM", "Acme Mobility", token_a="...") as acme:
        await acme.wait_for("POST", "credentials")          # somebody registers with it
        await acme.push_token({"uid": "04AABB", ...})       # it calls
        session = await acme.wait_for("PUT", "sessions")    # it is called
        asked = await acme.command("STOP_SESSION", session_id=session.body["id"])
        assert (await acme.result_of(asked)).body == {"result": "ACCEPTED"}
        assert acme.complaints == []

A backend is a peer too: ``also`` gives a 2.2.1 platform more roles, ``token_in`` and ``use_static()`` spare it the
handshake. A hub is one with parties ``behind`` it: it owns their objects, and speaks for them. ``fail()``, ``slow()``,
``delay``, ``down()`` and ``up()`` make it a bad day; ``lists`` has the odd ways to serve one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from gateway.demo.answers import Answer, Fault
from gateway.demo.checks import Checks
from gateway.demo.commands import Commands, Reaction
from gateway.demo.desk import Desk
from gateway.demo.door import Door
from gateway.demo.handshake import Handshake, HandshakeFailed
from gateway.demo.identity import Counterpart, Identity, Keyring, Party, Role
from gateway.demo.journal import Exchange, Journal, Received
from gateway.demo.line import Line
from gateway.demo.lists import Generated, Lists
from gateway.demo.modules import Decision, Modules
from gateway.demo.platform import Platform
from gateway.demo.shelf import Object, Shelf
from gateway.demo.verbs import Verbs

__all__ = ["Exchange", "HandshakeFailed", "Peer", "Received", "Role"]

_LARGEST_BODY: Final = 64 * 1024 * 1024


class Peer(Verbs, Platform):
    """One simulated platform.

    Attributes:
        stored: what others pushed to it. ``objects`` is short for ``stored.objects``.
        own: what it owns, and lists when asked.
        handshake: for the odd step out of order; ``handshake.credentials(token)`` is its credentials object,
            ``handshake.pause`` the seconds that it takes to call back.
        delay: seconds between having dealt with a request and answering it.
        lists: how it serves lists.
        page_limit: the most objects on one of its pages.
    """

    def __init__(
        self,
        name: str,
        version: str,
        role: str,
        country_code: str,
        party_id: str,
        business_name: str,
        *,
        also: tuple[Role, ...] = (),
        also_version: str | None = None,
        behind: tuple[Role, ...] = (),
        routing_headers: bool = False,
        behind_hub: bool = False,
        token_a: str | None = None,
        token_in: str | None = None,
        port: int = 0,
    ) -> None:
        """``token_a`` was given to whoever may register here, ``token_in`` to whoever needn't. Port 0: any free one.

        ``behind``: the parties that are reached through it, a hub: on 2.2.1 with the role HUB, on 2.1.1, which has
        none, with the role that it registers as. ``routing_headers``: that one names sender and receiver all the same.
        ``behind_hub``: on 2.1.1, which can't tell, the other end is a hub. ``also_version``: it speaks the other
        version too, and goes over to it when somebody calls that version's credentials endpoint (or by ``rotate()``).
        """
        roles = (Role(role, country_code, party_id, business_name), *also)
        who = Identity(name, version, roles, behind_hub, behind, routing_headers, also_version)
        counterpart, journal, keys = Counterpart(), Journal(name), Keyring()
        own, self.stored = Shelf(who), Shelf(who)
        line = Line(who, counterpart, journal)
        commands = Commands(who, counterpart, line, own, self.stored)
        super().__init__(who, counterpart, line, journal, own, commands)
        self.handshake = Handshake(who, keys, counterpart, line)
        checks = Checks(who, counterpart, journal, own)
        self._modules = Modules(who, counterpart, self.stored, own, commands, checks)
        self._desk = Desk(who, keys, self.handshake, journal, checks, self._modules)
        self._keys = keys
        self._door = Door(self._desk.serve, port, largest_body=_LARGEST_BODY)
        for reached in behind:
            self.keep_client(reached.party, reached.role)
        if token_a:
            keys.hand_out(token_a)
        if token_in:
            keys.accept(token_in)

    # Life

    async def __aenter__(self) -> Self:
        self.who.base_url = self._door.hold()
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.down()
        await self._desk.rest()
        self._door.give_up()
        await self.line.close()

    # Looking inside

    @property
    def name(self) -> str:
        return self.who.name

    @property
    def versions_url(self) -> str:
        return self.who.versions_url

    @property
    def party(self) -> Party:
        """The party of its first role."""
        return self.who.roles[0].party

    @property
    def objects(self) -> dict[str, dict[str, Object]]:
        """What others pushed, as it stands now: by module and ``CC/PARTY/id`` (2.2.1 tokens: ``.../TYPE``)."""
        return self.stored.objects

    async def wait_for(
        self,
        method: str | None = None,
        module: str | None = None,
        where: Callable[[Received], bool] | None = None,
        *,
        count: int = 1,
        after: int = 0,
        timeout: float = 5.0,  # noqa: ASYNC109 - the failure lists what did arrive
    ) -> Received:
        """The ``count``-th request that fits, be it here already or still to come; it has been applied by then.

        ``after`` skips that many of ``received``: take ``len(peer.received)`` before what you provoke.

        Raises:
            AssertionError: none came within ``timeout`` seconds; the text lists what did.
        """

        def wanted(received: Received) -> bool:
            return (
                method in (None, received.method)
                and module in (None, received.module)
                and (where is None or where(received))
            )

        what = f"{method or 'request'} {module or ''}".strip()
        return await self._journal.wait_for(wanted, what, count=count, after=after, timeout=timeout)

    # A bad day

    @property
    def delay(self) -> float:
        return self._desk.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._desk.delay = seconds

    @property
    def lists(self) -> Lists:
        return self._modules.lists

    @property
    def page_limit(self) -> int:
        return self.lists.page_limit

    @page_limit.setter
    def page_limit(self, count: int) -> None:
        self.lists.page_limit = count

    def fail(
        self,
        module: str,
        method: str | None = None,
        *,
        http: int = 200,
        status: int = 3000,
        times: int = 1,
        applied: bool = False,
        drop: bool = False,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Make the next ``times`` requests to ``module`` (``versions`` and ``details`` too) go wrong.

        They are answered with ``http`` and ``status``; with ``body`` instead of an envelope, if given; with a cut
        connection, if ``drop``. ``applied``: the request is dealt with all the same, only its answer is wrong.
        ``headers``: of the answer, besides.
        """
        answer = Answer(status, http=http, message="as asked for", headers=headers or {})
        self._desk.faults.append(Fault(module, method, answer, times, applied, drop, body))

    def slow(self, module: str, method: str | None = None, *, seconds: float, times: int = 1) -> None:
        """Let the next ``times`` answers of ``module`` take longer. They are right, and say what they would have."""
        self._desk.faults.append(Fault(module, method, None, times, delay=seconds))

    # How it answers

    def take_revisions(self) -> None:
        """Take a CDR that comes again with other content for a revision of the first, as no specification has it."""
        self._modules.revisions = True

    def take_others_tariffs(self) -> None:
        """Take tariffs of parties that aren't on the platform over there: what eMSPs ask at its connectors."""
        self._modules.others_tariffs = True

    def decide(
        self,
        uid: str,
        allowed: str,
        *,
        type: str = "RFID",
        info: str | None = None,
        delay: float = 0.0,
        location_required: bool = False,
    ) -> None:
        """How authorize is answered for one of our tokens. Without this: ALLOWED if it is valid, else BLOCKED.

        A token that isn't among ``own`` is unknown (404).
        """
        self._modules.decisions[uid, type] = Decision(allowed, info, delay, location_required)

    def answer_command(
        self,
        command: str,
        result: str = "ACCEPTED",
        *,
        timeout: int = 30,
        then: str | None = "ACCEPTED",
        after: float = 0.0,
        message: str | None = None,
        bare_string: bool = False,
    ) -> None:
        """How a command is taken from now on; see ``Reaction``. Nothing follows but on an ACCEPTED ``result``.

        Without this: what is about a location or session among ``own`` is accepted, and done at once; an unknown
        location is 2003, an unknown session UNKNOWN_SESSION.
        """
        self.commands.reactions[command] = Reaction(result, timeout, then, after, message, bare_string)

    def answer_profile(
        self,
        method: str,
        result: str = "ACCEPTED",
        *,
        timeout: int = 30,
        then: str | None = "ACCEPTED",
        after: float = 0.0,
        profile: Object | None = None,
    ) -> None:
        """How a charging profile is set (``PUT``), asked for (``GET``) or cleared (``DELETE``); as for commands.

        ``profile``: the ActiveChargingProfile that a GET yields, else made of the one that was set.
        """
        self.commands.reactions[method] = Reaction(result, timeout, then, after, profile=profile)

    def answer_preferences(self, result: str) -> None:
        """How charging preferences are answered; ACCEPTED unless said otherwise."""
        self.commands.preferences = result

    def generate(self, module: str, count: int, make: Callable[[int], Object], *, at_once: bool = True) -> None:
        """List ``count`` objects that are made when they are asked for: one page of them all, unless not ``at_once``.

        Filters are ignored.
        """
        self.lists.generated[module] = Generated(count, make, at_once)

    def list_versions(self, *versions: str) -> None:
        """What stands in the list of versions, spoken or not."""
        self.who.listed = versions

    # Handshake

    def hand_out(self, token_a: str) -> None:
        """Give a (new) TOKEN_A to whoever may register here."""
        self._keys.hand_out(token_a)

    async def register(self, versions_url: str, token_a: str) -> Exchange:
        """Register over there as Sender. Raises HandshakeFailed."""
        return await self.handshake.register(versions_url, token_a)

    async def use_static(self, versions_url: str, token_out: str) -> None:
        """Use a token agreed on for good, and discover the endpoints. Raises HandshakeFailed."""
        await self.handshake.use_static(versions_url, token_out)

    async def rotate(self, version: str | None = None) -> Exchange:
        """New tokens for both sides, by a PUT; with ``version`` on that one's endpoint, to speak it from then on.

        Raises HandshakeFailed.
        """
        return await self.handshake.rotate(version)

    async def unregister(self) -> Exchange:
        """End the registration, by a DELETE."""
        return await self.handshake.unregister()
