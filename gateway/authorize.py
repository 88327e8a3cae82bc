"""What may be said about a token without its eMSP, and why. Pure: the table of the four whitelist types, and commands.

A token that its eMSP announced says itself when a charge point operator may decide: ``ALWAYS`` without asking,
``ALLOWED`` either way, ``ALLOWED_OFFLINE`` only when nobody can be asked, ``NEVER`` not at all. ``at_once`` is what is
decided before anybody is asked, ``unanswered`` what is decided when no answer came: a broken line, a timeout, a 3xxx,
4002 or 4003. A refusal or "unknown" *is* an answer, and never comes here.

=================== =========================== ============================== ==============================
whitelist           its eMSP answers            no answer, ``valid: true``     no answer, ``valid: false``
=================== =========================== ============================== ==============================
``ALWAYS``          not asked: allowed, or      allowed                        blocked
                    blocked if it isn't valid
``ALLOWED``         its answer; in mode         allowed                        blocked
                    ``cache_first`` not asked
``ALLOWED_OFFLINE`` its answer                  allowed                        not allowed
``NEVER``           its answer                  not allowed                    not allowed
not known           its answer                  nothing can be said            -
=================== =========================== ============================== ==============================

A cached token counts for ``max_age``, reckoned from when we last heard of this eMSP's tokens; ``ALWAYS`` is exempt.
``on_timeout: deny`` and ``allow`` override the two columns on the right, but a token that is invalid, or that may never
be decided here, isn't allowed by either.

``commanded`` comes before all of that. An eMSP that sends a START_SESSION or RESERVE_NOW has authorized its token for
that place already, and shall not be asked again: about a card for 15 minutes, about what only exists in an app not at
all. That holds at the place of the command, where the question names one, and until the eMSP blocks the token.

Spec: 2.2.1 ``mod_tokens``, WhitelistType enum; 2.1.1 ``mod_tokens`` 4.4, the same. 2.2.1 ``mod_commands``, StartSession
and ReserveNow objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from attrs import frozen

from gateway.model.names import fold
from gateway.model.tokens import AllowedType, WhitelistType


class Ground(StrEnum):
    """Why something was decided, as the label of a metric has it."""

    ASKED = "asked"  # its eMSP has answered
    UNKNOWN = "unknown"  # nobody who was asked knows it, or nobody was to be asked
    REFUSED = "refused"  # its eMSP can't answer the question as it stands
    ALWAYS = "always"  # the whitelist says that its eMSP isn't asked
    CACHE_FIRST = "cache_first"  # the link says so, and the whitelist lets it
    COMMANDED = "commanded"  # its eMSP has sent a command for it
    NO_ANSWER = "no_answer"  # its eMSP didn't answer: the whitelist decides
    TOO_OLD = "too_old"  # the same, but too long ago was its eMSP's last word
    ON_TIMEOUT = "on_timeout"  # the same, and the link says what then
    NOT_CACHED = "not_cached"  # the same, and nothing is known of the token


@frozen(kw_only=True)
class Stance:
    """How a link wants its tokens decided.

    Attributes:
        cache_first: whether ``ALLOWED`` tokens are decided without asking.
        on_timeout: ``cached``, ``deny`` or ``allow``.
        max_age: how old what we know of this eMSP's tokens may be.
        always_invalid: whether ``ALWAYS`` allows a token that isn't valid (``tokens.always_invalid: allow``).
    """

    cache_first: bool = False
    on_timeout: str = "cached"
    max_age: timedelta = timedelta(hours=24)
    always_invalid: bool = False


@frozen(kw_only=True)
class Cached:
    """A token as its eMSP announced it.

    Attributes:
        whitelist: a WhitelistType; one that no version knows counts as NEVER.
        age: since we last heard of this eMSP's tokens.
    """

    whitelist: str
    valid: bool
    age: timedelta


@frozen(kw_only=True)
class Commanded:
    """What its eMSP has sent along with a command for a token.

    Attributes:
        age: since the operator accepted the command.
        evse_uid: which EVSE it was for; None: any at the location.
    """

    age: timedelta
    evse_uid: str | None


@frozen
class Decision:
    """What is said, and why.

    Attributes:
        allowed: None where nothing can be said: the asker reads why there was no answer.
        reason: a few words for the log and ``tokens authorize``.
        offline: whether the eMSP was to be asked, and gave no answer.
    """

    allowed: AllowedType | None
    ground: Ground
    reason: str

    @property
    def offline(self) -> bool:
        return self.ground in (Ground.NO_ANSWER, Ground.TOO_OLD, Ground.ON_TIMEOUT, Ground.NOT_CACHED)


def commanded(command: Commanded | None, references: Mapping[str, Any] | None) -> Decision | None:
    """What follows from a command of its eMSP; None: nothing.

    Args:
        references: the LocationReferences of the question, canonical and at the location of the command; None where the
            question names no place.
    """
    if command is None:
        return None
    asked = (references or {}).get("evse_uids")
    if asked and command.evse_uid is not None and fold(command.evse_uid) not in map(fold, asked):
        return None
    ago = int(command.age.total_seconds())
    return Decision(AllowedType.ALLOWED, Ground.COMMANDED, f"commanded {ago} s ago")


def at_once(cached: Cached | None, stance: Stance) -> Decision | None:
    """What is decided without asking; None: the eMSP is asked."""
    if cached is None:
        return None
    if cached.whitelist == WhitelistType.ALWAYS:
        if cached.valid or stance.always_invalid:
            return Decision(AllowedType.ALLOWED, Ground.ALWAYS, "whitelist ALWAYS")
        return Decision(AllowedType.BLOCKED, Ground.ALWAYS, "whitelist ALWAYS, and not valid")
    if cached.whitelist == WhitelistType.ALLOWED and stance.cache_first and cached.age <= stance.max_age:
        if cached.valid:
            return Decision(AllowedType.ALLOWED, Ground.CACHE_FIRST, "whitelist ALLOWED, cache first")
        return Decision(AllowedType.BLOCKED, Ground.CACHE_FIRST, "whitelist ALLOWED, cache first, and not valid")
    return None


def unanswered(cached: Cached | None, stance: Stance) -> Decision:
    """What is decided when the eMSP gave no answer."""
    if cached is None:
        if stance.on_timeout == "allow":
            return Decision(AllowedType.ALLOWED, Ground.ON_TIMEOUT, "no answer, token not cached, on_timeout allow")
        return Decision(None, Ground.NOT_CACHED, "no answer, token not cached")
    known = f"no answer, whitelist {_word(cached)}"
    if cached.whitelist not in (WhitelistType.ALLOWED, WhitelistType.ALLOWED_OFFLINE):
        return Decision(AllowedType.NOT_ALLOWED, Ground.NO_ANSWER, known)
    if not cached.valid:
        blocked = cached.whitelist == WhitelistType.ALLOWED
        word = AllowedType.BLOCKED if blocked else AllowedType.NOT_ALLOWED
        return Decision(word, Ground.NO_ANSWER, f"{known}, and not valid")
    if stance.on_timeout == "deny":
        return Decision(AllowedType.NOT_ALLOWED, Ground.ON_TIMEOUT, f"{known}, on_timeout deny")
    if cached.age <= stance.max_age:
        return Decision(AllowedType.ALLOWED, Ground.NO_ANSWER, known)
    old = f"{known}, but what is cached is older than cache_max_age"
    if stance.on_timeout == "allow":
        return Decision(AllowedType.ALLOWED, Ground.ON_TIMEOUT, f"{old}, on_timeout allow")
    return Decision(AllowedType.NOT_ALLOWED, Ground.TOO_OLD, old)


def _word(cached: Cached) -> str:
    """The whitelist type; a word that no specification knows is a stranger's, and stays out of the log."""
    return cached.whitelist if cached.whitelist in frozenset(WhitelistType) else "unknown"
