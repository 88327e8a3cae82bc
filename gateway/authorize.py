"""What may be said about a token without its eMSP, and why. Pure: the table of the four whitelist types.

A token that its eMSP announced says itself when a charge point operator may decide: ``ALWAYS`` without asking,
``ALLOWED`` either way, ``ALLOWED_OFFLINE`` only when nobody can be asked, ``NEVER`` not at all. ``at_once`` is what is
decided before anybody is asked, ``unanswered`` what is decided when no answer came: a broken line, a timeout, a 3xxx. A
refusal or "unknown" *is* an answer, and never comes here.

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

Spec: 2.2.1 ``mod_tokens``, WhitelistType enum; 2.1.1 ``mod_tokens`` 4.4, the same.
"""

from __future__ import annotations

from datetime import timedelta

from attrs import frozen

from gateway.model.tokens import AllowedType, WhitelistType


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


@frozen
class Decision:
    """What is said, and why.

    Attributes:
        allowed: None where nothing can be said: the asker reads why there was no answer.
        reason: a few words for the log, the metric and ``tokens authorize``.
    """

    allowed: AllowedType | None
    reason: str


def at_once(cached: Cached | None, stance: Stance) -> Decision | None:
    """What is decided without asking; None: the eMSP is asked."""
    if cached is None:
        return None
    if cached.whitelist == WhitelistType.ALWAYS:
        if cached.valid or stance.always_invalid:
            return Decision(AllowedType.ALLOWED, "whitelist ALWAYS")
        return Decision(AllowedType.BLOCKED, "whitelist ALWAYS, and not valid")
    if cached.whitelist == WhitelistType.ALLOWED and stance.cache_first and cached.age <= stance.max_age:
        if cached.valid:
            return Decision(AllowedType.ALLOWED, "whitelist ALLOWED, cache first")
        return Decision(AllowedType.BLOCKED, "whitelist ALLOWED, cache first, and not valid")
    return None


def unanswered(cached: Cached | None, stance: Stance) -> Decision:
    """What is decided when the eMSP gave no answer."""
    if cached is None:
        if stance.on_timeout == "allow":
            return Decision(AllowedType.ALLOWED, "no answer, token not cached, on_timeout allow")
        return Decision(None, "no answer, token not cached")
    known = f"no answer, whitelist {cached.whitelist}"
    if cached.whitelist not in (WhitelistType.ALLOWED, WhitelistType.ALLOWED_OFFLINE):
        return Decision(AllowedType.NOT_ALLOWED, known)
    if not cached.valid:
        blocked = cached.whitelist == WhitelistType.ALLOWED
        return Decision(AllowedType.BLOCKED if blocked else AllowedType.NOT_ALLOWED, f"{known}, and not valid")
    if stance.on_timeout == "deny":
        return Decision(AllowedType.NOT_ALLOWED, f"{known}, on_timeout deny")
    if cached.age > stance.max_age and stance.on_timeout != "allow":
        return Decision(AllowedType.NOT_ALLOWED, f"{known}, but what is cached is older than cache_max_age")
    return Decision(AllowedType.ALLOWED, known)
