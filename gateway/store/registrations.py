"""Who is registered: one record per link, and the credentials tokens that open it.

A registration lives with its link, a credential under the digest of its token, where whoever holds nothing but a token
must find it. In a cluster these are different slots, so they can't change in one step, and the order does the work:

1. New tokens open the link. A partner may use the token we give it before it has answered us, and after we have sent
   it there is no way to take it back, so it must work first. Nobody has been told of it if this is as far as we get.
2. The registration is replaced, if it is still the one that was read; with it goes the list of tokens to take away.
3. Old tokens stop opening the link, and the list is forgotten. A crash before that leaves the list, and whoever reads
   the registration next finishes it.

So at no time is a partner locked out that holds the newest token, and no old token outlives the next read. A token that
was taken away and given out again in the meantime (static tokens) carries the later version and stays.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import msgspec
from attrs import define

from gateway.model.names import Moved, Registered
from gateway.store.connection import Connection, mark


@define(eq=False)
class Registrations(Connection):
    """Registrations and credentials. Every method raises ``NotDurable`` when Redis is away."""

    async def registration(self, link: str) -> Registered | None:
        """The registration of a link, its leftover tokens taken away; None if it never had one."""
        version, value, drop = await self.command("HMGET", self.keys.registration(link), "version", "value", "drop")
        if version is None:
            return None
        if drop:
            await self._take_away(link, int(version), msgspec.msgpack.decode(drop, type=list[str]))
        return Registered(value, int(version))

    async def register(
        self,
        link: str,
        expect_version: int | None,
        value: bytes,
        creds_add: Mapping[str, bytes],
        creds_drop: Sequence[str],
    ) -> int:
        """The link's registration is replaced, and its tokens with it, in the order that locks nobody out.

        Args:
            expect_version: of the registration that the caller has read; 0: there must be none; None: any.
            creds_add: what to find under the digest of each token that opens the link as of now.
            creds_drop: digests of tokens that no longer do.

        Returns:
            The new version.

        Raises:
            Moved: ``expect_version`` is wrong. Tokens of ``creds_add`` may be known by now; nobody has been told them.
        """
        while True:
            known = await self.registration(link)
            version = known.version if known else 0
            if expect_version not in (None, version):
                raise Moved("the registration was changed by someone else at the same time; try again")
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for digest, found in creds_add.items():
                    pipe.hset(self.keys.credential(digest), mapping={"value": found, "version": version + 1})
                await pipe.execute()
            drop = [digest for digest in creds_drop if digest not in creds_add]
            packed = msgspec.msgpack.encode(drop) if drop else b""
            new = int(await self.run("register", [self.keys.registration(link)], version, mark(), value, packed))
            if new > 0:
                await self._take_away(link, new, drop)
                return new
            # Somebody was faster. With an expectation the next round finds it wrong.

    async def credential(self, digest: str) -> bytes | None:
        """What was stored under the digest of a token; None: the token opens nothing."""
        found: bytes | None = await self.command("HGET", self.keys.credential(digest), "value")
        return found

    async def cred_key(self) -> bytes:
        """The key of the tokens' digests: 32 random bytes, made by whoever asks first and the same ever after."""
        await self.command("SET", self.keys.credential_key(), secrets.token_bytes(32), "NX")
        key: bytes = await self.command("GET", self.keys.credential_key())
        return key

    async def _take_away(self, link: str, version: int, digests: Sequence[str]) -> None:
        if not digests:
            return
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for digest in digests:
                self.queue(pipe, "drop_credential", [self.keys.credential(digest)], version)
            await pipe.execute()
        await self.run("dropped", [self.keys.registration(link)], version)
