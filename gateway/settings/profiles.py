"""Profiles: named sets of switches, so that a partner's habits are written once and have a reason.

A profile may extend another. What counts for a link is, from weak to strong: the defaults of ``Policy``, the profiles
that its profile extends, the profile itself, the ``quirks`` of its own file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import define, field

from gateway.model.policy import Policy
from gateway.settings.files import ProfileFile
from gateway.settings.grammar import Reader, did_you_mean
from gateway.settings.mistakes import Place, quoted
from gateway.settings.text import Table, read_table


@define
class Profiles:
    """The profiles that exist, by name. A later folder's profile replaces an earlier one's of the same name."""

    _reader: Reader
    _files: dict[str, ProfileFile] = field(factory=dict)
    _broken: set[str] = field(factory=set)
    _switches: dict[str, dict[str, Any]] = field(factory=dict)

    def read(self, files: Iterable[tuple[Path, str]]) -> None:
        """Read profile files, given with their names in messages, and check them whether they are used or not."""
        for path, shown in files:
            table = read_table(path, shown, self._reader.report)
            profile = self._reader.table(ProfileFile, table) if table else None
            if profile is None:
                self._broken.add(path.stem)
                continue
            self._broken.discard(path.stem)
            self._files[path.stem] = profile
            self._switches[path.stem] = self._quirks(profile.quirks)

    def check(self) -> None:
        """That every profile extends one that exists, and none itself."""
        for name, profile in self._files.items():
            self._lineage(name, profile.at.place)

    def policy(self, name: str, place: Place, quirks: Table | None) -> Policy:
        """The policy of a link: its profile, and its own switches over it.

        Args:
            name: of the profile.
            place: where it is named, for the mistake that there is none.
            quirks: the link's own switches.
        """
        switches: dict[str, Any] = {}
        for ancestor in reversed(self._lineage(name, place)):
            switches |= self._switches[ancestor]
        return Policy(**switches | self._quirks(quirks))

    def _quirks(self, table: Table | None) -> dict[str, Any]:
        return self._reader.entries(Policy, table) if table else {}

    def _lineage(self, name: str, place: Place) -> list[str]:
        """A profile and those that it extends, nearest first; shorter when one of them can't be had."""
        found: list[str] = []
        following: str | None = name
        while following is not None:
            if following in found:
                self._reader.report.add(place, f"the profile {quoted(following)} extends itself: break the circle")
                break
            profile = self._files.get(following)
            if profile is None:
                if following not in self._broken:
                    hint = did_you_mean(following, self._files) or f": one of {', '.join(sorted(self._files))}"
                    self._reader.report.add(place, f"there is no profile {quoted(following)}{hint}")
                break
            found.append(following)
            following, place = profile.extends, profile.at.place_of("extends")
        return found
