"""The switches of a link: one frozen value, one row per switch, read by the maps and the pipeline.

A policy is what a link wants done where a version can't say something, or where peers differ; a quirk is a habit on
the wire. Both are written under ``quirks`` in a profile or a partner file with their dotted names, and both are listed
here: ``tariffs.inexpressible`` in a file is ``Policy.tariffs_inexpressible`` in the code. The tables in
``config/README.md`` and the JSON Schema are generated from this class.

A row with ``acted=False`` is known, so that a file that uses it gets a precise answer, and does nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NewType

from attrs import Attribute, field, fields, fields_dict, frozen

SWITCH: Final = "switch"

TimeZone = NewType("TimeZone", str)
"""An IANA name, such as Europe/Amsterdam."""

Hours = NewType("Hours", str)
"""Days and hours of a week, such as ``mon-fri 09:00-17:00``; the days may be left out. Read by ``gateway.sync``."""

NextPage = NewType("NextPage", str)
"""``link``, ``link_or_offset``, or ``cursor:PARAMETER``."""


def switch(
    default: Any,
    doc: str,
    *,
    values: tuple[str, ...] = (),
    acted: bool = True,
    some: bool = False,
    name: str | None = None,
) -> Any:
    """One switch.

    Args:
        default: the value for a plain, specification-abiding peer.
        doc: what it decides, in a sentence for ``config/README.md``.
        values: the closed list of values, the default first (for a list: of its items); empty for free values of the
            annotated type.
        acted: False for a switch that the grammar knows and this build doesn't act on: using it is a mistake.
        some: of a list: whether it needs an item.
        name: its name in files, where that isn't the attribute's with a dot for the first underscore.
    """
    metadata = {SWITCH: {"doc": doc, "values": values, "acted": acted, "some": some, "name": name}}
    if isinstance(default, dict):
        return field(factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@frozen(kw_only=True)
class Retry:
    """Pace of repeated pushes: a fixed pause, and for how long to go on."""

    interval: timedelta | None = None
    max_age: timedelta | None = None


@frozen(kw_only=True)
class RetryRefused:
    """Which refusals of a CDR are tried again (OCPI status codes), and for how long."""

    codes: tuple[int, ...] = (2001, 2003)
    for_: timedelta = timedelta(days=7)


@frozen(kw_only=True)
class BackOff:
    """Pauses after HTTP 429 or 503 without ``Retry-After``: the first, and the longest."""

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=5)


@frozen(kw_only=True)
class Policy:
    """The switches, in groups. Lists are tuples, so that a policy can be shared and compared."""

    # Authentication
    auth_token_encoding: str = switch(
        "auto",
        "how we write the credentials token into the Authorization header: auto writes it as the version says (2.1.1"
        " raw, 2.2.1 Base64)",
        values=("auto", "base64", "raw"),
    )
    auth_accept_encodings: tuple[str, ...] = switch(
        ("base64", "raw"), "in which forms this peer's token is understood", values=("base64", "raw"), some=True
    )
    auth_schemes: tuple[str, ...] = switch(
        ("Token",), "schemes understood in the Authorization header", values=("Token", "Bearer"), acted=False, some=True
    )
    auth_token_grace_s: int = switch(300, "for how many seconds at most the old token stays valid after a rotation")

    # Versions, modules and ids
    version_aliases: Mapping[str, str] = switch(
        {}, "names in this peer's list of versions that mean another one, such as {2.2: 2.2.1}"
    )
    capabilities_unsupported: tuple[str, ...] = switch(
        (), "commands that we answer with NOT_SUPPORTED ourselves, by their names; chargingprofiles too"
    )
    ids_case: str = switch(
        "fold",
        "ids that differ in case only: the same, or two",
        values=("fold", "sensitive"),
        acted=False,
    )
    ids_owner_precedence: tuple[str, ...] = switch(
        (),
        "where the owner of an object is looked for, in order; left out, the version's own rule",
        values=("body", "url", "header", "credentials", "config"),
        acted=False,
    )
    ids_prefix_out: bool = switch(False, "whether ids that we hand out begin with country and party", acted=False)
    ids_map: bool = switch(False, "whether a table of their ids and ours is kept", acted=False)
    ids_evse_id_compare: str = switch(
        "normalised",
        "EVSE ids compare without separators and case, or exactly",
        values=("normalised", "exact"),
        acted=False,
    )

    # Routing
    routing_headers_on_211: str = switch(
        "accept",
        "routing headers on a 2.1.1 link: understood (of a bilateral partner only if they name parties of the link),"
        " ignored, or written as well",
        values=("accept", "ignore", "accept+send"),
    )
    routing_to_party: str = switch(
        "peer",
        "whom OCPI-to names towards a hub: whom the message is for (on a broadcast the hub), always the hub, or the"
        " party behind it whose token a session or CDR carries",
        values=("peer", "hub", "end_party"),
    )
    routing_require_headers: bool | None = switch(
        None, "whether a request without routing headers is refused; left out, behind hubs only"
    )
    routing_extra_headers: Mapping[str, str] = switch({}, "headers that every request to a module carries besides")

    # Fields
    fields_rename_211: Mapping[str, str] = switch(
        {}, "fields of newer versions that this 2.1.1 peer has under another name, read and written: {ours: theirs}"
    )
    fields_extensions_211: tuple[str, ...] = switch(
        (), "fields of newer versions that this 2.1.1 peer has all the same, read and written under their own name"
    )

    # Tokens and authorization
    authorization_reference_mint: bool = switch(
        False,
        "whether an authorization reference is made up where the eMSP gave none, on authorizations and commands of"
        " either direction; what comes back under it is passed on without it",
        name="authorization_reference.mint",
    )
    tokens_authorize_location: str = switch(
        "optional",
        "the location in an authorization request: as it comes, exactly one EVSE, or left out",
        values=("optional", "required_single", "omit"),
        acted=False,
    )
    tokens_whitelist_map: Mapping[str, str] = switch(
        {}, "whitelist values that are rewritten: {theirs: ours}", acted=False
    )
    tokens_types_allowed: tuple[str, ...] = switch((), "token types that are accepted; left out, all", acted=False)
    tokens_type_map: Mapping[str, str] = switch({}, "token types that are rewritten: {theirs: ours}", acted=False)
    tokens_owner_from: str = switch(
        "auto",
        "who a token belongs to: auto follows the version",
        values=("auto", "body", "url", "contract_prefix", "link"),
        acted=False,
    )
    tokens_always_invalid: str = switch(
        "block",
        "a token with whitelist ALWAYS that isn't valid: blocked, or allowed as the word says",
        values=("block", "allow"),
    )

    # Pushing
    push_patch_as_put: tuple[str, ...] = switch(
        (),
        "modules in which this peer gets a PUT of the whole object instead of a PATCH",
        values=("locations", "tariffs", "sessions", "tokens"),
    )
    push_connector_patch_level: str = switch(
        "connector",
        "at which level a change of a connector is said",
        values=("connector", "evse", "location"),
        acted=False,
    )
    push_retry: Retry | None = switch(
        None,
        "pace of repeated pushes: {interval, max_age}; left out, back-off without an end; what is older is held, a CDR"
        " dead",
    )
    push_max_delay_s: int | None = switch(None, "alarm when a change isn't delivered after so many seconds")

    # Locations
    locations_default_time_zone: TimeZone | None = switch(
        None, "IANA zone of locations that come without one; left out, the main zone of the location's country"
    )
    locations_unknown_connector: str = switch(
        "drop",
        "a connector whose standard the receiver's version doesn't know: leave it out, or send the literal",
        values=("drop", "passthrough"),
    )
    locations_derate_dc: bool = switch(
        True, "towards 2.1.1: lower a DC connector's amperage to what its power limit allows, so that V x A is true"
    )
    locations_require: tuple[str, ...] = switch(
        (), "fields that this receiver wants in every location, such as evse.evse_id or owner.name", acted=False
    )
    locations_on_missing: str = switch(
        "quarantine",
        "a location without such a field: kept back, filled, or refused",
        values=("quarantine", "fill", "reject"),
        acted=False,
    )

    # Tariffs
    tariffs_inexpressible: str = switch(
        "withhold",
        "a tariff with current restrictions towards 2.1.1: keep it back, or convert amperes to kW where voltage and"
        " phases are known",
        values=("withhold", "convert"),
    )
    tariffs_audience: tuple[str, ...] | None = switch(
        None,
        "which audiences' tariffs leave on this link; left out, [wholesale] towards 2.1.1 and [wholesale, adhoc]"
        " towards 2.2.1; naming adhoc lets AD_HOC_PAYMENT out, the last two let out what OCPI has no word for",
        values=("wholesale", "adhoc", "msp_retail", "cpo_subscription"),
    )
    tariffs_inline_on_connector: str = switch(
        "off",
        "whole tariffs on a connector: none, understood, or written",
        values=("off", "accept", "emit"),
        acted=False,
    )
    tariffs_multi_to_single: str = switch(
        "regular_first",
        "which of several tariffs a 2.1.1 connector names: the wholesale one first, then the ad hoc one; the ad hoc one"
        " first; or none where several would do",
        values=("regular_first", "adhoc_first", "none_if_many"),
    )
    tariffs_expand_elements_211: bool = switch(
        False,
        "towards 2.1.1: repeat a tariff's unrestricted prices in its restricted elements, for receivers that read"
        " element by element",
        acted=False,
    )
    tariffs_restrictions_shape: str = switch(
        "accept_list",
        "restrictions received as a list: understood, or refused",
        values=("accept_list", "object"),
        acted=False,
    )

    # Sessions and CDRs
    sessions_location_missing: str = switch(
        "reject",
        "a session whose location nobody knows, towards 2.1.1: refuse it, or embed a minimal location",
        values=("reject", "minimal"),
    )
    sessions_periods_mode: str = switch(
        "auto",
        "what charging_periods in a 2.1.1 PATCH mean: all of them, or only new ones; auto tells by the first period",
        values=("auto", "replace", "append"),
    )
    sessions_energy_unit: str = switch(
        "auto",
        "unit of ENERGY volumes received: kWh, Wh, or auto, which divides by 1000 when the sum is 1000 times kwh",
        values=("auto", "kwh", "wh"),
    )
    sessions_charging_periods: str = switch(
        "append",
        "charging_periods in what we push: new ones only, or always all",
        values=("append", "cumulative"),
        acted=False,
    )
    sessions_patch_min_interval_s: int = switch(60, "seconds between two PATCHes of a session at least", acted=False)
    cdrs_credit: str = switch(
        "hold",
        "a credit CDR for a 2.1.1 receiver: hold it and alarm, send it as a negative CDR with a remark, or refuse it",
        values=("hold", "negative", "refuse"),
    )
    cdrs_home_charging: str = switch(
        "hold",
        "a CDR with home_charging_compensation for a 2.1.1 receiver: hold it, or send it",
        values=("hold", "send"),
    )
    cdrs_in_doubt: str = switch(
        "park",
        "a CDR sent without a readable answer: parked for a person, asked for under its id and posted again if it isn't"
        " there, posted again as it is, or left to their pull; towards a backend it is always posted again",
        values=("park", "verify", "repost", "pull"),
    )
    cdrs_retry_refused: RetryRefused = switch(
        RetryRefused(), "refusals of a CDR that are tried again: {codes: [2001, 2003], for: 7d}"
    )
    cdrs_not_stored_http: tuple[int, ...] = switch(
        (429, 502, 503),
        "HTTP statuses that a front proxy gives for a dead service: tried again, not in doubt",
    )
    cdrs_duplicate: str = switch(
        "refuse",
        "a second CDR with the same id and other content: refused, or taken as its revision",
        values=("refuse", "revise"),
    )
    cdrs_post_url: str = switch(
        "plain",
        "where CDRs are posted: the endpoint, or the endpoint with country and party",
        values=("plain", "with_party"),
    )
    cdrs_location_from: str = switch(
        "header_or_body", "where the URL of a posted CDR is found", values=("header_or_body", "header", "by_id")
    )
    cdrs_require_session: bool = switch(False, "whether a CDR without a known session is refused", acted=False)
    cdrs_location_lookup: tuple[str, ...] = switch(
        ("location_id", "evse_uid", "evse_id"),
        "by what the location of a CDR is found, in order",
        values=("location_id", "evse_uid", "evse_id"),
        acted=False,
    )
    cdrs_verify: str = switch(
        "off", "whether posted CDRs are compared with what they list", values=("off", "nightly"), acted=False
    )

    # Commands
    commands_body: str = switch(
        "object",
        "the result of a command towards a 2.1.1 peer: an object, or the bare word",
        values=("object", "bare_string"),
    )
    commands_cancelled_reservation_211: str = switch(
        "suppress",
        "CANCELED_RESERVATION towards 2.1.1, which can't say it: nothing, or a refusal",
        values=("suppress", "reject"),
    )
    commands_response_url_hosts: tuple[str, ...] = switch(
        (), "hosts that response URLs may have; left out, those of its versions URL and endpoints"
    )

    # JSON and values
    json_unknown_fields: str = switch(
        "keep", "fields that no version of the specification knows: pass them on, or drop them", values=("keep", "drop")
    )
    json_ascii_only: bool = switch(
        False, "whether characters outside ASCII are written as \\u escapes; generic-2.1.1 switches it on"
    )
    json_null_is_absent: bool = switch(True, "whether a null received counts as a missing field", acted=False)
    enums_unknown: str = switch(
        "keep_raw",
        "enum values that no version knows: kept, mapped by enums.aliases, or refused",
        values=("keep_raw", "map", "reject"),
        acted=False,
    )
    enums_aliases: Mapping[str, Mapping[str, str]] = switch(
        {}, "their spellings of enum values, by enum: {ConnectorType: {Type2: IEC_62196_T2}}", acted=False
    )
    values_hyphen_is_null: bool = switch(False, "whether a lone hyphen counts as a missing value", acted=False)
    validation_max_lengths: str = switch(
        "warn",
        "texts longer than the specification allows: noted in the log, refused, or what people read shortened on the"
        " way out",
        values=("warn", "enforce", "truncate_out"),
    )
    time_input: str = switch(
        "lenient",
        "times without zone (taken as UTC), with fractions or with an offset: understood, or refused",
        values=("lenient", "strict"),
        acted=False,
    )

    # Pulling
    pull_limit: int = switch(100, "objects per page that we ask for")
    pull_min_interval_s: int = switch(0, "seconds between two pages at least")
    pull_query: Mapping[str, str] = switch({}, "parameters that every list request of a pull carries besides")
    pull_window: Hours | None = switch(
        None, "days and hours in which we pull, such as mon-fri 09:00-17:00, in the time_zone of gateway.yaml"
    )
    pull_next: NextPage = switch(
        NextPage("link_or_offset"),
        "how the next page is found: by its Link alone (link), else by counting while more is promised"
        " (link_or_offset), or by the id of the last object as a parameter (cursor:PARAMETER)",
    )
    sync_tombstones: str = switch(
        "status_removed",
        "how we learn that an object is gone: it says so itself (status_removed, none), or it isn't in a complete list"
        " any more (full_pull_diff)",
        values=("status_removed", "none", "full_pull_diff"),
    )
    sync_delta_by: str = switch(
        "last_updated",
        "what later pulls go by: the latest last_updated that we have seen, the time over there of the last pull (then"
        " last_updated doesn't tell which copy is newer), or nothing: the whole list each time",
        values=("last_updated", "hub_time", "full"),
    )

    # Answers and HTTP
    errors_success_test: str = switch(
        "strict",
        "what counts as success: HTTP 2xx with a status_code of 1000 to 1999, or also one without a code",
        values=("strict", "absent_is_success"),
    )
    errors_authorize_not_allowed_http: int = switch(
        200, "HTTP status of an authorization that isn't ALLOWED", acted=False
    )
    http_trailing_slash: str = switch(
        "as_given", "the slash at the end of the URLs that we call", values=("as_given", "add", "strip")
    )
    http_backoff: BackOff = switch(BackOff(), "pauses after 429 or 503 without Retry-After: {first: 5s, longest: 5m}")
    publish_anonymous: bool = switch(False, "whether lists can be read without a token", acted=False)


def dotted(attribute: str) -> str:
    """``tariffs_inexpressible`` -> ``tariffs.inexpressible``: a switch's name in files, losses and documents."""
    known = fields_dict(Policy).get(attribute)
    name = known.metadata[SWITCH]["name"] if known else None
    return name or attribute.replace("_", ".", 1)


def switches() -> tuple[Attribute[Any], ...]:
    """Every switch, in the order of the class."""
    return fields(Policy)
