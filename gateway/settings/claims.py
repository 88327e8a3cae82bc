"""Which file has which parties, and when two of them may have the same.

Two links to one party would both get what it is owed. So a second claim is a mistake, unless the files tell themselves
apart: one of them is a draft, or a test beside what is in use, or one takes over from the other.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Generic, Self, TypeVar

from attrs import define, field, frozen

from gateway.model.party import Party
from gateway.settings.files import LinkFile, PartnerFile, Stage
from gateway.settings.grammar import did_you_mean
from gateway.settings.mistakes import Place, Report, quoted
from gateway.settings.values import Secret

K = TypeVar("K")


@define
class Taken:
    """What each file has for itself: its id, and the tokens that open our door to whoever it is about."""

    report: Report
    _ids: dict[str, Place] = field(factory=dict)
    _tokens: dict[str, tuple[str, Place]] = field(factory=dict)

    def id(self, id_: str, place: Place) -> None:
        """Note the id of a file that begins here; a mistake if another one has it."""
        first = self._ids.setdefault(id_, place)
        if first != place:
            self.report.add(place, f"the id `{id_}` is taken: rename one of the two files (see {first})")

    def tokens(self, id_: str, tokens: Iterable[Secret], place: Place) -> None:
        """Note the incoming tokens of a file; a mistake if another one has one of them.

        A token in Base64 is the same token: it may be sent either way, and would open two doors.
        """
        for token in tokens:
            forms = (token.value, b64encode(token.value.encode()).decode())
            taken = [self._tokens.setdefault(form, (id_, place)) for form in forms]
            if others := [(other, first) for other, first in taken if other != id_]:
                other, first = others[0]
                self.report.add(place, f"the same token as {other} has (see {first}): each needs its own")


@frozen(kw_only=True)
class Claimant:
    """A file that claims something, and what tells it apart from others."""

    id: str
    place: Place
    stage: Stage
    replaces: str | None

    @classmethod
    def of(cls, id_: str, file: LinkFile, place: Place) -> Self:
        stage = file.stage if isinstance(file, PartnerFile) else Stage.LIVE
        return cls(id=id_, place=place, stage=stage, replaces=file.replaces)

    def differs_from(self, other: Claimant) -> bool:
        """Whether both may claim the same."""
        if self.replaces == other.id or other.replaces == self.id:
            return True
        if Stage.DRAFT in (self.stage, other.stage):
            return True
        return (self.stage is Stage.TEST) != (other.stage is Stage.TEST)


@define
class Claims(Generic[K]):
    """Who claims what, in the order in which files are read."""

    _claimants: dict[K, list[Claimant]] = field(factory=lambda: defaultdict(list))

    def __bool__(self) -> bool:
        return bool(self._claimants)

    def claim(self, what: K, claimant: Claimant) -> Claimant | None:
        """Note a claim. Whoever claimed the same before and isn't told apart; None when all is well."""
        others = self._claimants[what]
        clash = next((other for other in others if not claimant.differs_from(other)), None)
        others.append(claimant)
        return clash

    def first(self, what: K) -> Claimant | None:
        """Whoever claimed this first, if anybody did."""
        return next(iter(self._claimants.get(what, ())), None)


def check_moves(files: Mapping[str, LinkFile], report: Report) -> None:
    """That whoever takes over from another link names one that exists, with the same parties, and says when."""
    taken: dict[str, Place] = {}
    for id_, file in files.items():
        if file.replaces is None:
            if file.from_ is not None:
                report.add(file.at.place_of("from"), "`from` says when `replaces` begins: add that, or remove it")
            continue
        place = file.at.place_of("replaces")
        if file.from_ is None and "from" not in file.at.broken:
            report.add(place, "`from` is missing: the time at which this link takes over, such as 2030-01-31T00:00:00Z")
        if mistake := _wrong_move(id_, file, files):
            report.add(place, mistake)
        elif (first := taken.setdefault(file.replaces, place)) != place:
            report.add(place, f"two links can't both replace {quoted(file.replaces)} (see {first})")


def _wrong_move(id_: str, file: LinkFile, files: Mapping[str, LinkFile]) -> str | None:
    replaced = files.get(file.replaces or "")
    if replaced is None or replaced is file:
        hint = did_you_mean(file.replaces or "", files.keys() - {id_}) or ": write the id of one"
        return f"there is no other link {quoted(file.replaces or '')}{hint}"
    if _kind(replaced) != _kind(file):
        return "it replaces a link of another kind: write the id of one like this"
    if not _parties(file) & _parties(replaced):
        return "the two have no party in common: write the link that this party had"
    if replaced.replaces is not None:
        return f"{quoted(file.replaces or '')} takes over from another itself: remove its `replaces` once that is done"
    return None


def _kind(file: LinkFile) -> str:
    return file.kind if isinstance(file, PartnerFile) else "backend"


def _parties(file: LinkFile) -> set[Party]:
    return {entry.party for entry in file.roles}
