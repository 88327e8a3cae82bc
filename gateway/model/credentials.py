"""Credentials, and the version information that leads to them.

Spec: 2.2.1 ``credentials``, ``version_information_endpoint``.
"""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from gateway.model.locations import BusinessDetails
from gateway.model.modules import Module, Side
from gateway.model.party import Role
from gateway.model.types import CountryCode, CredentialsToken, OneOrMore, Open, PartyId, Url


@frozen(kw_only=True)
class Credentials:
    """How to reach a platform, and who lives there. Spec: 2.2.1 ``credentials``, Credentials object."""

    token: CredentialsToken  # for the receiver of this object to authenticate with
    url: Url  # of the sender's versions endpoint
    roles: OneOrMore[CredentialsRole]  # each combination of role, party and country once


@frozen(kw_only=True)
class CredentialsRole:
    """One party in one role. Spec: 2.2.1 ``credentials``, CredentialsRole class."""

    role: Annotated[str, Open(Role)]
    business_details: BusinessDetails
    party_id: PartyId
    country_code: CountryCode


@frozen(kw_only=True)
class Version:
    """A version that a platform offers. Spec: 2.2.1 ``version_information_endpoint``, Version class."""

    version: str  # "major.minor" or "major.minor.patch"
    url: Url  # of its details


@frozen(kw_only=True)
class VersionDetails:
    """The endpoints of one version. Spec: 2.2.1 ``version_information_endpoint``, Version details endpoint, Data."""

    version: str  # not to be compared: the specification's own examples name another one
    endpoints: OneOrMore[Endpoint]


@frozen(kw_only=True)
class Endpoint:
    """One module's URL. Spec: 2.2.1 ``version_information_endpoint``, Endpoint class."""

    identifier: Annotated[str, Open(Module)]  # custom modules have names of their own
    role: Annotated[str, Open(Side)]  # the interface; means nothing for the credentials module
    url: Url
