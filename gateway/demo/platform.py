"""A simulated platform in one hand: the door where it is met, which can be shut, and what it has seen there."""

from __future__ import annotations

from gateway.demo.door import Door
from gateway.demo.journal import Journal, Received


class Platform:
    """What a peer and a price feed have in common.

    Attributes:
        received: every request, with the answer that it got.
        complaints: whatever looked wrong, in words.
    """

    _door: Door
    _journal: Journal

    async def up(self) -> None:
        """Listen, on the same port as before. Does nothing if it listens already."""
        await self._door.up()

    async def down(self) -> None:
        """Refuse connections, and cut those that are open. The port stays ours."""
        await self._door.down()

    @property
    def received(self) -> list[Received]:
        return self._journal.received

    @property
    def complaints(self) -> list[str]:
        return self._journal.complaints
