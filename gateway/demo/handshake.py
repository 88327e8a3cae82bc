"""The dance of the credentials module, from either side.

    Sender                                   Receiver
      GET versions, GET details   (A) ───►
      POST credentials            (A) ───►
           ◄─── (B) GET versions, GET details      before the POST is answered
           ◄─── 200, credentials with TOKEN_C      A is spent

PUT is the same with the tokens of before and gives both sides new ones; DELETE ends it. What one may do depends on the
token that was presented: with TOKEN_A nobody is registered yet, so PUT and DELETE are 405; with any other, POST is.
The version is that of the credentials endpoint which is called: a peer that speaks both goes over to it.

Spec: 2.1.1 and 2.2.1 ``credentials``, ``version_information_endpoint``; ``status_codes`` 3001 to 3003.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final

import aiohttp
from attrs import define

from gateway.demo.identity import ROUTED, SENDERS, Counterpart, Identity, Interface, Keyring, Role
from gateway.demo.journal import Exchange
from gateway.demo.line import Line
from gateway.demo.objects import OLD, examine

_OPPOSITE: Final = {"CPO": "EMSP", "EMSP": "CPO"}


class HandshakeFailed(Exception):
    """It can't be done; ``status`` is the OCPI status code for the other side."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@define(eq=False)
class Handshake:
    """One peer's part in it.

    Attributes:
        pause: seconds before each of the two call-backs to whoever registers here.
    """

    who: Identity
    keys: Keyring
    counterpart: Counterpart
    line: Line
    pause: float = 0.0

    async def register(self, versions_url: str, token_a: str) -> Exchange:
        """As Sender: discover, then POST with a TOKEN_B that is good already. Raises HandshakeFailed."""
        endpoints = await self.discover(versions_url, token_a)
        return await self._offer("POST", versions_url, endpoints, token_a, replaces=None)

    async def use_static(self, versions_url: str, token: str) -> None:
        """Tokens agreed on for good: discover the endpoints, and read who is there. Raises HandshakeFailed."""
        endpoints = await self.discover(versions_url, token)
        exchange = await self.line.ask("GET", endpoints["credentials", ""], token=token)
        roles = self._roles(exchange.data) if exchange.ok else ()
        self._know(token, versions_url, endpoints, roles)

    async def rotate(self, version: str | None = None) -> Exchange:
        """As Sender: PUT, after which both tokens are new; on ``version``'s endpoint, and then that one is spoken.

        Raises HandshakeFailed, and then everything is as it was.
        """
        if self.counterpart.token is None:
            raise HandshakeFailed(2000, "not registered")
        url, token, before = self.counterpart.versions_url, self.counterpart.token, self.who.version
        try:
            endpoints = await self.discover(url, token, version=version)
            return await self._offer("PUT", url, endpoints, token, replaces=self.keys.current)
        except (aiohttp.ClientError, TimeoutError, HandshakeFailed):
            self.who.speak(before)
            raise

    async def unregister(self) -> Exchange:
        """As Sender: DELETE. After it neither side may call the other."""
        exchange = await self.line.ask("DELETE", self.counterpart.endpoints["credentials", ""])
        if exchange.ok:
            self.end()
        return exchange

    def end(self) -> None:
        """The registration is over: no token of either side counts any more."""
        self.keys.revoke_all()
        self.counterpart.forget()

    async def admit(self, body: dict[str, Any], presented: str, version: str, *, again: bool) -> str:
        """As Receiver of a POST, or of a PUT (``again``): the token that they must send from now on.

        ``version`` is that of the endpoint they called, and the one to be spoken. Raises HandshakeFailed, and then
        nothing has changed.
        """
        before = self.who.version
        self.who.speak(version)
        try:
            roles = self._roles(body)
            endpoints = await self.discover(body["url"], body["token"], pause=self.pause)
        except HandshakeFailed:
            self.who.speak(before)
            raise
        new = secrets.token_urlsafe(32)
        if again:
            self.keys.replace(presented, new)
        else:
            self.keys.revoke(presented)
            self.keys.accept(new)
        self._know(body["token"], body["url"], endpoints, roles)
        return new

    def credentials(self, token: str, version: str | None = None) -> dict[str, Any]:
        """Our credentials object, with the token that they must send; in the version that is spoken, or another."""
        shared = {"token": token, "url": self.who.versions_url}
        if (version or self.who.version) == OLD:
            return shared | _written(self.who.roles[0])
        return shared | {"roles": [{"role": role.role} | _written(role) for role in self.who.roles]}

    def details(self, version: str) -> dict[str, Any]:
        """Our version details. Spec: ``version_information_endpoint``; 2.2.1 says SENDER for credentials."""
        endpoints = []
        for (module, side), path in self.who.paths(version).items():
            if module in ("versions", "details"):
                continue
            role = {} if version == OLD else {"role": side or "SENDER"}
            endpoints.append({"identifier": module, **role, "url": f"{self.who.base_url}{path}"})
        return {"version": version, "endpoints": endpoints}

    async def discover(
        self, versions_url: str, token: str, *, version: str | None = None, pause: float = 0.0
    ) -> dict[Interface, str]:
        """Their endpoints for our version, or for another that is spoken from then on; ``pause`` s before each step.

        Raises HandshakeFailed with 3001, 3002 or 3003.
        """
        wanted = version or self.who.version
        await asyncio.sleep(pause)
        versions = await self._fetch(versions_url, token)
        url = next((item.get("url") for item in _dicts(versions) if item.get("version") == wanted), None)
        if not isinstance(url, str):
            raise HandshakeFailed(3002, f"{versions_url} doesn't offer {wanted}")
        self.who.speak(wanted)
        await asyncio.sleep(pause)
        details = await self._fetch(url, token)
        endpoints = self._endpoints(_dicts(details.get("endpoints") if isinstance(details, dict) else None))
        if ("credentials", "") not in endpoints or len(endpoints) == 1:
            raise HandshakeFailed(3003, f"{url} has no endpoints for us: {sorted(endpoints)}")
        return endpoints

    async def _offer(
        self, method: str, versions_url: str, endpoints: dict[Interface, str], token: str, replaces: str | None
    ) -> Exchange:
        ours = secrets.token_urlsafe(32)
        self.keys.accept(ours)  # they call back before they answer
        url = endpoints["credentials", ""]
        try:
            exchange = await self.line.ask(method, url, token=token, body=self.credentials(ours), kind="Credentials")
            if not exchange.ok:
                raise HandshakeFailed(exchange.status_code or 2000, str(exchange))
            roles = self._roles(exchange.data)
        except (aiohttp.ClientError, TimeoutError, HandshakeFailed):
            self.keys.revoke(ours)
            raise
        if replaces:
            self.keys.replace(replaces, ours)
        self._know(exchange.data["token"], versions_url, endpoints, roles)
        return exchange

    async def _fetch(self, url: str, token: str) -> Any:
        try:
            exchange = await self.line.ask("GET", url, token=token)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise HandshakeFailed(3001, f"GET {url}: {error}") from error
        if not exchange.ok:
            raise HandshakeFailed(3001, str(exchange))
        return exchange.data

    def _endpoints(self, listed: list[dict[str, Any]]) -> dict[Interface, str]:
        """What they list that is of use to us. 2.1.1 has no sides: theirs follow from our role."""
        found: dict[Interface, str] = {}
        for item in listed:
            module, url = item.get("identifier"), item.get("url")
            if not isinstance(module, str) or not isinstance(url, str):
                raise HandshakeFailed(3001, f"no endpoint: {item}")
            if module == "credentials":
                found[module, ""] = url
            elif module in ROUTED and self.who.version == OLD:
                ours = self.who.roles[0].role == SENDERS[module]
                found[module, "RECEIVER" if ours else "SENDER"] = url
            elif module in SENDERS:
                found[module, str(item.get("role"))] = url
        return found

    def _roles(self, credentials: object) -> tuple[Role, ...]:
        """Who is behind their credentials. Raises HandshakeFailed with 2001 if the object can't be used."""
        wrong = [str(finding) for finding in examine(self.who.version, "Credentials", credentials) if finding.fatal]
        if wrong or not isinstance(credentials, dict):
            raise HandshakeFailed(2001, "; ".join(wrong))
        if self.who.version == OLD:
            theirs = "HUB" if self.who.behind_hub else _OPPOSITE[self.who.roles[0].role]
            return (_role(credentials | {"role": theirs}),)
        return tuple(_role(role) for role in credentials["roles"])

    def _know(self, token: str, versions_url: str, endpoints: dict[Interface, str], roles: tuple[Role, ...]) -> None:
        theirs = self.counterpart
        theirs.token, theirs.versions_url, theirs.endpoints, theirs.roles = token, versions_url, endpoints, roles


def _written(role: Role) -> dict[str, Any]:
    return {
        "business_details": {"name": role.business_name},
        "party_id": role.party_id,
        "country_code": role.country_code,
    }


def _role(written: dict[str, Any]) -> Role:
    name = written["business_details"]["name"]
    return Role(written["role"], written["country_code"], written["party_id"], name)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
