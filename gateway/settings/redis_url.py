"""The address of a Redis: one server, a primary that sentinels know, or a cluster.

``redis://[user:password@]host[:port][/db]``                         one server
``unix:///path/to/socket``                                           one server on this machine
``redis+sentinel://[user:password@]host[:port][,...]/service[/db]``  whichever server is the primary of the service
``redis+cluster://[user:password@]host[:port][,...]``                a cluster; of its nodes any that are known

With ``rediss`` for ``redis`` everything goes over TLS. User and password are those of the servers; sentinels that want
some of their own get ``?sentinel_username=...&sentinel_password=...``. Further options are redis-py's.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from attrs import frozen

_FORMS: Final = (
    "write redis://host:6379/0, rediss://..., unix:///path/to/socket, redis+sentinel://host:26379,host2:26379/service "
    "or redis+cluster://host:6379,host2:6379"
)
_NODE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@,\s]+)(?::(?P<port>\d{1,5}))?")
_SENTINELS_PORT: Final = 26379
_PORT: Final = 6379
_OF_SENTINELS: Final = ("sentinel_username", "sentinel_password")


class Topology(StrEnum):
    """How many servers stand behind an address, and how the right one is found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@frozen(kw_only=True)
class RedisUrl:
    """An address, taken apart.

    Attributes:
        where: the address without user, password and options, for logs.
        plain: a URL that redis-py reads: of the one server; else with everything but the servers' names.
        nodes: host and port of each sentinel, or of each known node of the cluster.
        service: what the sentinels call the primary.
        sentinel_login: the sentinels' own user and password, as keyword arguments of a client.
    """

    topology: Topology
    where: str
    plain: str
    nodes: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_login: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> RedisUrl:
        """Raises ValueError if it is no such address; the text says what to write."""
        try:
            return _parse(text)
        except ValueError as error:
            raise ValueError(f"not the URL of a Redis: {_FORMS} ({error})") from None


def _parse(text: str) -> RedisUrl:
    parts = _split(text)
    scheme, _, kind = parts.scheme.partition("+")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("the path of the socket is missing")
        return RedisUrl(topology=Topology.SINGLE, where=_where(parts), plain=text)
    if scheme not in ("redis", "rediss") or parts.scheme not in (scheme, f"{scheme}+sentinel", f"{scheme}+cluster"):
        raise ValueError("its scheme is another one")
    if not kind:
        _node(parts.netloc.rpartition("@")[2], _PORT)
        return RedisUrl(topology=Topology.SINGLE, where=_where(parts), plain=text)
    topology = Topology(kind)
    login, _, hosts = parts.netloc.rpartition("@")
    port = _SENTINELS_PORT if topology is Topology.SENTINEL else _PORT
    service, database = _path(parts.path, topology)
    options = parse_qsl(parts.query, keep_blank_values=True)
    plain = SplitResult(
        scheme, f"{login}@any" if login else "any", database and f"/{database}",
        urlencode([option for option in options if option[0] not in _OF_SENTINELS]), "",
    )  # fmt: skip
    return RedisUrl(
        topology=topology,
        where=_where(parts),
        plain=plain.geturl(),
        nodes=tuple(_node(node, port) for node in hosts.split(",")),
        service=service,
        sentinel_login=tuple((key.removeprefix("sentinel_"), it) for key, it in options if key in _OF_SENTINELS),
    )


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:  # whose text may hold the password
        raise ValueError("what stands before the path can't be read") from None


def _path(path: str, topology: Topology) -> tuple[str, str]:
    """Service and database: ``/mymaster/0`` for sentinels, nothing for a cluster, whose only database is 0."""
    words = path.strip("/").split("/") if path.strip("/") else []
    if topology is Topology.CLUSTER:
        if words not in ([], ["0"]):
            raise ValueError("a cluster has only database 0")
        return "", ""
    if not words:
        raise ValueError("the name of the service is missing behind the sentinels")
    service, *database = words
    if database and (len(database) > 1 or not re.fullmatch(r"\d{1,9}", database[0])):
        raise ValueError("behind the service comes the number of a database, or nothing")
    return service, "".join(database)


def _node(text: str, port: int) -> tuple[str, int]:
    found = _NODE.fullmatch(text)
    if found is None or not 0 < int(found["port"] or port) < 65536:
        raise ValueError("a host or a port can't be read")
    return found["host"].strip("[]"), int(found["port"] or port)


def _where(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
