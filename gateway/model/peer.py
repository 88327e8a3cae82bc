"""What the other side of a link says about itself."""

from __future__ import annotations

from attrs import field, frozen

from gateway.model.dialect import Seat


@frozen(kw_only=True)
class PeerCredentials:
    """What the other side's credentials say.

    Attributes:
        token: the token that we must send from now on.
        url: its versions URL.
        seats: its parties with their roles and business details.
        alpha_3: whether it writes its country code with three letters.
    """

    token: str = field(repr=False)
    url: str
    seats: tuple[Seat, ...]
    alpha_3: bool = False
