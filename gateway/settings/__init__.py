"""Configuration: a folder of YAML files becomes frozen values, or a list of everything that is wrong with it.

The files say what is meant; what came of it (tokens after a handshake, endpoints found) lives in Redis and is never
written back. Reading goes in four steps, one module each:

- ``text``: YAML as tables, lists and texts that know their line; whatever YAML could hide is refused.
- ``grammar``: tables into the classes of ``files``, which are the grammar; ``values`` says what a scalar can mean.
- ``profiles``: sets of switches, layered into one ``Policy`` per link.
- ``links``: what takes two keys or two files, and the result, one ``LinkSettings`` per backend and partner; ``prices``:
  the same of price feeds, and of whom we serve prices.

Mistakes never stop the reading: all of them are found at once, each as ``file:line:column: what, and what instead``.
``reference`` writes the JSON Schema and the tables of ``config/README.md`` from the same classes.
"""

from gateway.settings.files import (
    Admin,
    Authorize,
    AuthorizeMode,
    CountryCode,
    Delivery,
    Kind,
    Limits,
    OnTimeout,
    RedisSettings,
    Registration,
    Serve,
    Stage,
    Start,
)
from gateway.settings.links import LinkSettings, ModuleUse
from gateway.settings.load import Settings, find_config, load, shipped_config
from gateway.settings.mistakes import Mistake, Mistakes
from gateway.settings.prices import ConsumerSettings, FeedSettings
from gateway.settings.values import Address, Secret

__all__ = [
    "Address",
    "Admin",
    "Authorize",
    "AuthorizeMode",
    "ConsumerSettings",
    "CountryCode",
    "Delivery",
    "FeedSettings",
    "Kind",
    "Limits",
    "LinkSettings",
    "Mistake",
    "Mistakes",
    "ModuleUse",
    "OnTimeout",
    "RedisSettings",
    "Registration",
    "Secret",
    "Serve",
    "Settings",
    "Stage",
    "Start",
    "find_config",
    "load",
    "shipped_config",
]
