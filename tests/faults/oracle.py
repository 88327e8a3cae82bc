"""Says whether a run kept the promises, from the books of both sides and the gateway's own word about CDRs.

Each promise is a set that has to be empty; what is in it is named. A run in which the fault didn't hit proves nothing:
it is invalid, and not green.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import asdict, define, field

from tests.faults.partners import Partner
from tests.faults.records import Books, Key, Receipt

States = Mapping[str, Mapping[Key, str]]
"""Link -> CDR -> what the gateway says of it."""

VISIBLE: Final = frozenset({"in_doubt", "held", "refused", "dead"})
"""States in which a person can see the CDR and decide."""

HIT: Final = 0.9
NEAR_S: Final = 1.0
"""An attempt is disturbed by what happened so many seconds after its answer: the answer has to be written down, too."""


@define
class Verdict:
    """What one run came to.

    Attributes:
        violations: invariant -> what violates it.
        hits: whether each fault met something under way.
        figures: whatever was counted or measured.
    """

    scenario: str
    seed: int
    violations: dict[str, list[str]] = field(factory=lambda: defaultdict(list))
    hits: list[bool] = field(factory=list)
    figures: dict[str, Any] = field(factory=dict)

    @property
    def valid(self) -> bool:
        return not self.hits or sum(self.hits) / len(self.hits) >= HIT

    @property
    def kept(self) -> bool:
        return not any(self.violations.values())

    @property
    def green(self) -> bool:
        return self.valid and self.kept

    def broken(self, invariant: str, what: str) -> None:
        self.violations[invariant].append(what)

    def json(self) -> dict[str, Any]:
        told = {name: {"count": len(found), "first": found[:5]} for name, found in self.violations.items() if found}
        return {**asdict(self), "violations": told, "hits": f"{sum(self.hits)}/{len(self.hits)}", "green": self.green}

    def __str__(self) -> str:
        told = "; ".join(
            f"{name}: {len(found)}, such as {found[0]}" for name, found in self.violations.items() if found
        )
        word = "green" if self.green else "RED" if not self.kept else "invalid"
        return f"{self.scenario} seed {self.seed}: {word} hits {sum(self.hits)}/{len(self.hits)} {told} {self.figures}"


@define
class Oracle:
    """Of one run.

    Attributes:
        sessions: session id -> what it has become, as the backend said it.
        reposting: links that post again what is in doubt.
        outages: times in which something was killed, stopped or cut: (from, to), monotonic.
    """

    books: Books
    partners: Sequence[Partner]
    sessions: Mapping[str, Mapping[str, Any]]
    states: States
    outages: Sequence[tuple[float, float]]
    reposting: frozenset[str] = frozenset()
    held: frozenset[tuple[str, Key]] = frozenset()
    """Objects that a receiver refused as they are: a person can see them."""

    def judge(self, verdict: Verdict) -> Verdict:
        posts = self._by_key("cdrs")
        self._loss(verdict)
        self._billing(verdict, posts)
        self._repeats(verdict, posts)
        self._doubt(verdict, posts)
        self._order(verdict)
        self._credits(verdict, posts)
        self._convergence(verdict)
        for oddity in self.books.oddities:
            word = oddity.partition(" ")[0]
            verdict.broken(word if word.startswith("I1") else "I2", oddity)
        states = [state for of in self.states.values() for state in of.values()]
        cdrs = sum(len(found) for found in posts.values())
        verdict.figures |= {
            "acked": len({(ack.link, ack.key) for ack in self.books.acks}),
            "cdrs": len({(ack.link, ack.key) for ack in self.books.acks if ack.key[0] == "cdrs"}),
            "states": {state: states.count(state) for state in sorted(set(states))},
            "posts_per_cdr": round(cdrs / len(posts), 4) if posts else 0,
        }
        return verdict

    def _by_key(self, module: str) -> dict[tuple[str, Key], list[Receipt]]:
        found: dict[tuple[str, Key], list[Receipt]] = defaultdict(list)
        for receipt in self.books.receipts:
            if receipt.key[0] == module:
                found[receipt.link, receipt.key].append(receipt)
        return found

    def _acked_cdrs(self) -> set[tuple[str, Key]]:
        return {(ack.link, ack.key) for ack in self.books.acks if ack.key[0] == "cdrs"}

    def _loss(self, verdict: Verdict) -> None:
        """I1: what was acknowledged is at the partner, or a person can see that it isn't."""
        has = {partner.id: partner.posted for partner in self.partners}
        for link, key in self._acked_cdrs():
            state = self.states.get(link, {}).get(key, "nowhere")
            if key in has[link] or state in VISIBLE or (state == "pending" and self._waits(link, key)):
                continue
            verdict.broken("I1", f"{key} for {link} is {state} and was never stored")

    def _waits(self, link: str, key: Key) -> bool:
        """A credit CDR waits for an original about which a person has to decide."""
        original = next((ack.original for ack in self.books.acks if ack.key == key and ack.original), "")
        state = self.states.get(link, {}).get((key[0], key[1], original.upper()), "")
        return bool(original) and (state in VISIBLE or state == "pending")

    def _billing(self, verdict: Verdict, posts: Mapping[tuple[str, Key], list[Receipt]]) -> None:
        """I2: one CDR, one body; and none that nobody has said."""
        acked = self._acked_cdrs()
        for (link, key), receipts in posts.items():
            if len({receipt.digest for receipt in receipts}) > 1:
                verdict.broken("I2", f"{key} came to {link} with different bodies")
            if (link, key) not in acked:
                verdict.broken("I2", f"{key} came to {link}, and nobody has said it")

    def _repeats(self, verdict: Verdict, posts: Mapping[tuple[str, Key], list[Receipt]]) -> None:
        """I3: posted again only after an answer that it wasn't stored; where doubt is reposted, after doubt, too."""
        for (link, key), receipts in posts.items():
            again = [each for each in receipts[:-1] if not each.safe]
            if link in self.reposting:
                again = [each for each in again if each.answered is not None and not self._disturbed(each)]
            for each in again:
                verdict.broken("I3", f"{key} was posted to {link} again after {each.fault or 'an answer'}")

    def _disturbed(self, receipt: Receipt) -> bool:
        """Whether anything happened while it was under way, or before its answer can have been written down."""
        until = (receipt.answered or receipt.at) + NEAR_S
        return any(begin <= until and end >= receipt.at for begin, end in self.outages)

    def _doubt(self, verdict: Verdict, posts: Mapping[tuple[str, Key], list[Receipt]]) -> None:
        """I3: nothing is in doubt that was answered well and in peace; nothing delivered that wasn't taken."""
        for link, states in self.states.items():
            for key, state in states.items():
                receipts = posts.get((link, key), [])
                well = [each for each in receipts if each.stored and each.answered is not None]
                if state == "in_doubt" and any(not self._disturbed(each) for each in well):
                    verdict.broken("I3", f"{key} for {link} is in doubt though it was answered")
                if state == "in_doubt" and not receipts and not self.outages:
                    verdict.broken("I3", f"{key} for {link} is in doubt though it was never sent")
                if state == "delivered" and not any(each.stored for each in receipts):
                    verdict.broken("I1", f"{key} for {link} is called delivered and was never stored")
                if state == "in_flight":
                    verdict.broken("I13", f"{key} for {link} is in flight for ever")
                if state == "pending" and not self._waits(link, key):
                    verdict.broken("I13", f"{key} for {link} still waits")

    def _order(self, verdict: Verdict) -> None:
        """I4: never an older state after a newer one, and no time that its owner didn't write."""
        said: dict[Key, set[datetime]] = defaultdict(set)
        for ack in self.books.acks:
            said[ack.key].add(_moment(ack.last_updated))
        last: dict[tuple[str, Key], datetime] = {}
        for receipt in self.books.receipts:
            at = _moment(receipt.stamps)
            if at not in said[receipt.key]:
                verdict.broken("I4", f"{receipt.key} came to {receipt.link} as of {receipt.stamps}, which nobody wrote")
            if at < last.get((receipt.link, receipt.key), at):
                verdict.broken("I4", f"{receipt.key} came to {receipt.link} as of {receipt.stamps} after a newer one")
            last[receipt.link, receipt.key] = at

    def _credits(self, verdict: Verdict, posts: Mapping[tuple[str, Key], list[Receipt]]) -> None:
        """I4: a credit CDR isn't sent while its original is on its way."""
        for (link, key), receipts in posts.items():
            original = receipts[0].original
            if not original:
                continue
            before = [each.at for each in posts.get((link, (key[0], key[1], original.upper())), []) if each.stored]
            if bisect_left(sorted(before), receipts[0].at) == 0:
                verdict.broken("I4", f"credit {key} came to {link} before {original}")

    def _convergence(self, verdict: Verdict) -> None:
        """I5, I9: in the end a partner has each session as it is, and no period of it twice."""
        acked = {(ack.link, ack.key) for ack in self.books.acks if ack.key[0] == "sessions"}
        partners = {partner.id: partner for partner in self.partners}
        for link, key in acked - self.held:
            has = partners[link].objects.get(key)
            if has is None:
                verdict.broken("I5", f"{link} has no {key}")
                continue
            starts = _starts(has)
            if len(starts) != len(set(starts)):
                verdict.broken("I9", f"{link} has a period of {key} twice")
            if (wrong := _difference(has, self.sessions[key[2]])) is not None:
                verdict.broken("I5", f"{key} at {link}: {wrong}")


def _starts(session: Mapping[str, Any]) -> list[str]:
    return [period["start_date_time"] for period in session.get("charging_periods") or []]


def _difference(has: Mapping[str, Any], said: Mapping[str, Any]) -> str | None:
    """What is different in what both versions have."""
    for name in ("kwh", "status", "last_updated"):
        if has.get(name) != said[name]:
            return f"{name} is {has.get(name)}, not {said[name]}"
    if _starts(has) != _starts(said):
        return f"periods of {_starts(has)}, not {_starts(said)}"
    return None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def percentile(values: Iterable[float], part: float) -> float:
    """By the nearest rank; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
