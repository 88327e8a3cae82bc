"""A platform built on a foreign OCPI library, to be run by the Python of that library's own environment.

    python stranger.py '{"package": "py_ocpi", "version": "2.1.1", "role": "EMSP", ...}'

The settings are a JSON object: ``package`` (what is imported), ``version``, ``role``, ``country_code``, ``party_id``,
``name``, ``token_a`` (what whoever registers comes with), ``fd`` and ``address`` (a socket that listens already, and
where). All of OCPI is the library's. What it leaves to whoever uses it is here: objects are kept in memory, and every
token that is known and valid may charge. Beside the library's routes:

    GET  /test/heard           each request under /ocpi as it came over the wire, and the answer that the library gave;
                               ?module=M&method=M&count=N waits until there are so many of these
    GET  /test/said            each request of the library to anybody else, and what it was answered
    GET  /test/met             who registered: their credentials object and the endpoints that the library found
    PUT  /test/own/MODULE      own an object, to be listed, pushed and asked about
    POST /test/push            {"module", "id"}: have the library push it to whoever registered
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import httpx
import uvicorn

Json = dict[str, Any]
PATIENCE_S = 10.0
MODULES = ("credentials_and_registration", "locations", "tariffs", "sessions", "cdrs", "tokens")


class Memory:
    """What the library calls a Crud: where objects are, and what is answered."""

    def __init__(self, settings: Json, tokens_c: list[str]) -> None:
        self.settings = settings
        self.tokens_c = tokens_c
        self.objects: dict[tuple[str, str], Json] = {}
        self.met: Json | None = None

    def own(self, module: str, obj: Json) -> None:
        """Keep an object. The library may have changed the case of an id, here and in a path."""
        self.objects[module, str(obj["uid" if module == "tokens" else "id"]).lower()] = obj

    def credentials(self) -> Json:
        """Our credentials object in the platform's version, with the newest token C."""
        ours = self.settings
        party = {name: ours[name] for name in ("country_code", "party_id")}
        role = party | {"business_details": {"name": ours["name"]}}
        roles = role if ours["version"] == "2.1.1" else {"roles": [role | {"role": ours["role"]}]}
        return {"token": self.tokens_c[-1], "url": f"http://{ours['address']}/ocpi/versions", **roles}

    async def get(self, module: Any, role: Any, id: str, *args: Any, **kwargs: Any) -> Json | None:
        if module == "credentials":
            return self.credentials()
        return self.objects.get((module.value, str(id).lower()))

    async def list(self, module: Any, role: Any, filters: Json, *args: Any, **kwargs: Any) -> tuple[Any, int, bool]:
        found = [obj for (kind, _), obj in self.objects.items() if kind == module]
        page = found[filters["offset"] :][: filters["limit"]]
        return page, len(found), filters["offset"] + len(page) >= len(found)

    async def create(self, module: Any, role: Any, data: Json, *args: Any, **kwargs: Any) -> Json:
        if module == "credentials":
            self.met = data
            self.tokens_c.append(f"token-c-{len(self.tokens_c)}")
            return self.credentials()
        self.own(module.value, data)
        return data

    async def update(self, module: Any, role: Any, data: Json, id: str, *args: Any, **kwargs: Any) -> Json:
        return await self.create(module, role, data)

    async def delete(self, module: Any, role: Any, id: str, *args: Any, **kwargs: Any) -> None:
        self.objects.pop((module.value, str(id).lower()), None)

    async def do(self, module: Any, role: Any, action: Any, *args: Any, data: Json, **kwargs: Any) -> Json:
        token = self.objects["tokens", data["token_uid"].lower()]
        allowed = "ALLOWED" if token["valid"] else "BLOCKED"
        return {"allowed": allowed, "token": token, "location": data["location_reference"]}


class Heard:
    """The application with an ear at the wire: what the library got and what it answered, before anything reads it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.exchanges: list[Json] = []
        self.more = asyncio.Condition()

    async def at_least(self, count: int, module: str, method: str) -> list[Json]:
        """What was heard of a module (in whose path its name stands), once that is so much, or after some time."""

        def fitting() -> list[Json]:
            return [
                exchange
                for exchange in self.exchanges
                if module in exchange["path"].split("/") and method in ("", exchange["method"])
            ]

        async with self.more:
            with suppress(TimeoutError):  # the test tells what is missing
                await asyncio.wait_for(self.more.wait_for(lambda: len(fitting()) >= count), PATIENCE_S)
            return fitting()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/ocpi"):
            await self.app(scope, receive, send)
            return
        asked, answered, status, headers = b"", b"", 0, {}

        async def hear() -> Any:
            nonlocal asked
            event = await receive()
            asked += event.get("body", b"")
            return event

        async def say(event: Any) -> None:
            nonlocal answered, status, headers
            if event["type"] == "http.response.start":
                status, headers = event["status"], _text(event["headers"])
            answered += event.get("body", b"")
            await send(event)

        await self.app(scope, hear, say)
        exchange: Json = {"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode()}
        exchange |= {"headers": _text(scope["headers"]), "body": _json(asked)}
        exchange["answer"] = {"http": status, "headers": headers, "body": _json(answered)}
        async with self.more:
            self.exchanges.append(exchange)
            self.more.notify_all()


def listen_to_httpx() -> list[Json]:
    """What the library, which sends with httpx, says to others from now on, and what they answer."""
    exchanges: list[Json] = []
    send = httpx.AsyncClient.send

    async def heard(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        response = await send(client, request, **options)
        answer = {"http": response.status_code, "headers": dict(response.headers), "body": _json(response.content)}
        said = {"method": request.method, "url": str(request.url), "headers": dict(request.headers)}
        exchanges.append(said | {"body": _json(request.content), "answer": answer})
        return response

    httpx.AsyncClient.send = heard  # type: ignore[method-assign]
    return exchanges


def _text(headers: Any) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in headers}


def _json(raw: bytes) -> Any:
    return json.loads(raw) if raw else None


def build(settings: Json) -> Heard:
    """The library's application for one role and version, with our routes beside it."""
    # The library reads its own settings from the environment, when it is imported.
    os.environ |= {
        "OCPI_HOST": settings["address"],
        "PROTOCOL": "http",
        "COUNTRY_CODE": settings["country_code"],
        "PARTY_ID": settings["party_id"],
    }
    package = settings["package"]
    enums = import_module(f"{package}.core.enums")
    numbers = import_module(f"{package}.modules.versions.enums").VersionNumber
    tokens_c: list[str] = ["token-c-0"]

    class Doorman(import_module(f"{package}.core.authentication.authenticator").Authenticator):  # type: ignore[misc]
        @classmethod
        async def get_valid_token_a(cls) -> list[str]:
            return [settings["token_a"]]

        @classmethod
        async def get_valid_token_c(cls) -> list[str]:
            return tokens_c

    memory = Memory(settings, tokens_c)
    app = import_module(package).get_application(
        version_numbers=[numbers(settings["version"])],
        roles=[enums.RoleEnum(settings["role"])],
        crud=memory,
        modules=[enums.ModuleID[name] for name in MODULES],
        authenticator=Doorman,
        http_push=True,
    )
    heard, said = Heard(app), listen_to_httpx()

    @app.get("/test/heard")
    async def tell_what_was_heard(module: str, method: str, count: int) -> list[Json]:
        return await heard.at_least(count, module, method)

    @app.get("/test/said")
    async def tell_what_was_said() -> list[Json]:
        return said

    @app.get("/test/met")
    async def tell_who_registered() -> Json | None:
        return memory.met

    @app.put("/test/own/{module}")
    async def own(module: str, obj: Json) -> None:
        memory.own(module, obj)

    @app.post("/test/push")
    async def push(what: Json) -> Any:
        assert memory.met is not None
        theirs = memory.met["credentials"]
        request = import_module(f"{package}.core.schemas").Push(
            module_id=what["module"],
            object_id=what["id"],
            receivers=[{"endpoints_url": what["details_url"], "auth_token": theirs["token"]}],
        )
        push_object = import_module(f"{package}.core.push").push_object
        adapter = import_module(f"{package}.core.adapter").BaseAdapter
        return await push_object(numbers(settings["version"]), request, memory, adapter)

    return heard


def main() -> None:
    settings = json.loads(sys.argv[1])
    server = uvicorn.Server(uvicorn.Config(build(settings), log_level="warning", lifespan="off"))
    server.run(sockets=[socket.socket(fileno=settings["fd"])])


if __name__ == "__main__":
    main()
