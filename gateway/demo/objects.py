"""The object tables of OCPI 2.1.1 and 2.2.1, and ``examine()``, which lays a document beside them.

One text per object, in the order of the specification's table: ``name:type``, with the cardinality behind the name
where it isn't 1 (``?`` optional, ``*`` any number, ``+`` at least one). Types are those of the specification, with
these words for its prose: ``alpha2`` and ``alpha3`` for country codes, ``latitude``, ``longitude``, ``hour``
(``HH:MM``) and ``date``. CiString and URL are strings here: length is what can be wrong about them.

Unknown fields are fine, both versions let extensions through. A field that only the *other* version has is not: it
means that somebody forwarded what should have been translated.

Sources: both versions, ``mod_*``, ``credentials`` and ``types``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

OLD: Final = "2.1.1"
NEW: Final = "2.2.1"

_BOTH: Final[dict[str, str]] = {
    "AdditionalGeoLocation": "latitude:latitude longitude:longitude name?:DisplayText",
    "BusinessDetails": "name:string(100) website?:string(255) logo?:Image",
    "EnergyMix": (
        "is_green_energy:boolean energy_sources*:EnergySource environ_impact*:EnvironmentalImpact "
        "supplier_name?:string(64) energy_product_name?:string(64)"
    ),
    "EnergySource": "source:EnergySourceCategory percentage:number",
    "ExceptionalPeriod": "period_begin:DateTime period_end:DateTime",
    "GeoLocation": "latitude:latitude longitude:longitude",
    "Image": "url:string(255) thumbnail?:string(255) category:ImageCategory type:string(4) width?:int height?:int",
    "RegularHours": "weekday:int period_begin:hour period_end:hour",
    "StatusSchedule": "period_begin:DateTime period_end?:DateTime status:Status",
    "TariffElement": "price_components+:PriceComponent restrictions?:TariffRestrictions",
    "CdrDimension": "type:CdrDimensionType volume:number",
    "DisplayText": "language:string(2) text:string(512)",
}
# Credentials.country_code is string(2) in the text; the peers that write alpha-3 there have 3 characters.
_OLD: Final[dict[str, str]] = {
    "Credentials": (
        "token:string(64) url:string(255) business_details:BusinessDetails party_id:string(3) country_code:string(3)"
    ),
    "Location": (
        "id:string(39) type:LocationType name?:string(255) address:string(45) city:string(45) "
        "postal_code:string(10) country:alpha3 coordinates:GeoLocation related_locations*:AdditionalGeoLocation "
        "evses*:EVSE directions*:DisplayText operator?:BusinessDetails suboperator?:BusinessDetails "
        "owner?:BusinessDetails facilities*:Facility time_zone?:string(255) opening_times?:Hours "
        "charging_when_closed?:boolean images*:Image energy_mix?:EnergyMix last_updated:DateTime"
    ),
    "EVSE": (
        "uid:string(39) evse_id?:string(48) status:Status status_schedule*:StatusSchedule "
        "capabilities*:Capability connectors+:Connector floor_level?:string(4) coordinates?:GeoLocation "
        "physical_reference?:string(16) directions*:DisplayText parking_restrictions*:ParkingRestriction "
        "images*:Image last_updated:DateTime"
    ),
    "Connector": (
        "id:string(36) standard:ConnectorType format:ConnectorFormat power_type:PowerType voltage:int "
        "amperage:int tariff_id?:string(36) terms_and_conditions?:string(255) last_updated:DateTime"
    ),
    "EnvironmentalImpact": "source:EnvironmentalImpactCategory amount:number",
    "Hours": (
        "twentyfourseven?:boolean regular_hours*:RegularHours exceptional_openings*:ExceptionalPeriod "
        "exceptional_closings*:ExceptionalPeriod"
    ),
    "Tariff": (
        "id:string(36) currency:string(3) tariff_alt_text*:DisplayText tariff_alt_url?:string(255) "
        "elements+:TariffElement energy_mix?:EnergyMix last_updated:DateTime"
    ),
    "PriceComponent": "type:TariffDimensionType price:number step_size:int",
    "TariffRestrictions": (
        "start_time?:hour end_time?:hour start_date?:date end_date?:date min_kwh?:number max_kwh?:number "
        "min_power?:number max_power?:number min_duration?:int max_duration?:int day_of_week*:DayOfWeek"
    ),
    "AuthorizationInfo": "allowed:AllowedType location?:LocationReferences info?:DisplayText",
    "Token": (
        "uid:string(36) type:TokenType auth_id:string(36) visual_number?:string(64) issuer:string(64) "
        "valid:boolean whitelist:WhitelistType language?:string(2) last_updated:DateTime"
    ),
    "LocationReferences": "location_id:string(39) evse_uids*:string(39) connector_ids*:string(36)",
    "Session": (
        "id:string(36) start_datetime:DateTime end_datetime?:DateTime kwh:number auth_id:string(36) "
        "auth_method:AuthMethod location:Location meter_id?:string(255) currency:string(3) "
        "charging_periods*:ChargingPeriod total_cost?:number status:SessionStatus last_updated:DateTime"
    ),
    "CDR": (
        "id:string(36) start_date_time:DateTime stop_date_time:DateTime auth_id:string(36) auth_method:AuthMethod "
        "location:Location meter_id?:string(255) currency:string(3) tariffs*:Tariff "
        "charging_periods+:ChargingPeriod total_cost:number total_energy:number total_time:number "
        "total_parking_time?:number remark?:string(255) last_updated:DateTime"
    ),
    "ChargingPeriod": "start_date_time:DateTime dimensions+:CdrDimension",
    "CommandResponse": "result:CommandResponseType",
    "ReserveNow": (
        "response_url:string(255) token:Token expiry_date:DateTime reservation_id:int location_id:string(39) "
        "evse_uid?:string(39)"
    ),
    "StartSession": "response_url:string(255) token:Token location_id:string(39) evse_uid?:string(39)",
    "StopSession": "response_url:string(255) session_id:string(36)",
    "UnlockConnector": ("response_url:string(255) location_id:string(39) evse_uid:string(39) connector_id:string(36)"),
}
_NEW: Final[dict[str, str]] = {
    "Credentials": "token:string(64) url:string(255) roles+:CredentialsRole",
    "CredentialsRole": "role:Role business_details:BusinessDetails party_id:string(3) country_code:alpha2",
    "Location": (
        "country_code:alpha2 party_id:string(3) id:string(36) publish:boolean "
        "publish_allowed_to*:PublishTokenType name?:string(255) address:string(255) city:string(45) "
        "postal_code?:string(10) state?:string(45) country:alpha3 coordinates:GeoLocation "
        "related_locations*:AdditionalGeoLocation parking_type?:ParkingType evses*:EVSE directions*:DisplayText "
        "operator?:BusinessDetails suboperator?:BusinessDetails owner?:BusinessDetails facilities*:Facility "
        "time_zone:string(255) opening_times?:Hours charging_when_closed?:boolean images*:Image "
        "energy_mix?:EnergyMix last_updated:DateTime"
    ),
    "EVSE": (
        "uid:string(36) evse_id?:string(48) status:Status status_schedule*:StatusSchedule "
        "capabilities*:Capability connectors+:Connector floor_level?:string(4) coordinates?:GeoLocation "
        "physical_reference?:string(16) directions*:DisplayText parking_restrictions*:ParkingRestriction "
        "images*:Image last_updated:DateTime"
    ),
    "Connector": (
        "id:string(36) standard:ConnectorType format:ConnectorFormat power_type:PowerType max_voltage:int "
        "max_amperage:int max_electric_power?:int tariff_ids*:string(36) terms_and_conditions?:string(255) "
        "last_updated:DateTime"
    ),
    "EnvironmentalImpact": "category:EnvironmentalImpactCategory amount:number",
    "Hours": (
        "twentyfourseven:boolean regular_hours*:RegularHours exceptional_openings*:ExceptionalPeriod "
        "exceptional_closings*:ExceptionalPeriod"
    ),
    "PublishTokenType": (
        "uid?:string(36) type?:TokenType visual_number?:string(64) issuer?:string(64) group_id?:string(36)"
    ),
    "Tariff": (
        "country_code:alpha2 party_id:string(3) id:string(36) currency:string(3) type?:TariffType "
        "tariff_alt_text*:DisplayText tariff_alt_url?:string(255) min_price?:Price max_price?:Price "
        "elements+:TariffElement start_date_time?:DateTime end_date_time?:DateTime energy_mix?:EnergyMix "
        "last_updated:DateTime"
    ),
    "PriceComponent": "type:TariffDimensionType price:number vat?:number step_size:int",
    "TariffRestrictions": (
        "start_time?:hour end_time?:hour start_date?:date end_date?:date min_kwh?:number max_kwh?:number "
        "min_current?:number max_current?:number min_power?:number max_power?:number min_duration?:int "
        "max_duration?:int day_of_week*:DayOfWeek reservation?:ReservationRestrictionType"
    ),
    "AuthorizationInfo": (
        "allowed:AllowedType token:Token location?:LocationReferences authorization_reference?:string(36) "
        "info?:DisplayText"
    ),
    "Token": (
        "country_code:alpha2 party_id:string(3) uid:string(36) type:TokenType contract_id:string(36) "
        "visual_number?:string(64) issuer:string(64) group_id?:string(36) valid:boolean whitelist:WhitelistType "
        "language?:string(2) default_profile_type?:ProfileType energy_contract?:EnergyContract "
        "last_updated:DateTime"
    ),
    "EnergyContract": "supplier_name:string(64) contract_id?:string(64)",
    "LocationReferences": "location_id:string(36) evse_uids*:string(36)",
    "Session": (
        "country_code:alpha2 party_id:string(3) id:string(36) start_date_time:DateTime end_date_time?:DateTime "
        "kwh:number cdr_token:CdrToken auth_method:AuthMethod authorization_reference?:string(36) "
        "location_id:string(36) evse_uid:string(36) connector_id:string(36) meter_id?:string(255) "
        "currency:string(3) charging_periods*:ChargingPeriod total_cost?:Price status:SessionStatus "
        "last_updated:DateTime"
    ),
    "CDR": (
        "country_code:alpha2 party_id:string(3) id:string(39) start_date_time:DateTime end_date_time:DateTime "
        "session_id?:string(36) cdr_token:CdrToken auth_method:AuthMethod authorization_reference?:string(36) "
        "cdr_location:CdrLocation meter_id?:string(255) currency:string(3) tariffs*:Tariff "
        "charging_periods+:ChargingPeriod signed_data?:SignedData total_cost:Price total_fixed_cost?:Price "
        "total_energy:number total_energy_cost?:Price total_time:number total_time_cost?:Price "
        "total_parking_time?:number total_parking_cost?:Price total_reservation_cost?:Price remark?:string(255) "
        "invoice_reference_id?:string(39) credit?:boolean credit_reference_id?:string(39) "
        "home_charging_compensation?:boolean last_updated:DateTime"
    ),
    "CdrLocation": (
        "id:string(36) name?:string(255) address:string(45) city:string(45) postal_code?:string(10) "
        "state?:string(20) country:alpha3 coordinates:GeoLocation evse_uid:string(36) evse_id:string(48) "
        "connector_id:string(36) connector_standard:ConnectorType connector_format:ConnectorFormat "
        "connector_power_type:PowerType"
    ),
    "CdrToken": "country_code:alpha2 party_id:string(3) uid:string(36) type:TokenType contract_id:string(36)",
    "ChargingPeriod": "start_date_time:DateTime dimensions+:CdrDimension tariff_id?:string(36)",
    "SignedData": (
        "encoding_method:string(36) encoding_method_version?:int public_key?:string(512) "
        "signed_values+:SignedValue url?:string(512)"
    ),
    "SignedValue": "nature:string(32) plain_data:string(5000) signed_data:string(5000)",
    "Price": "excl_vat:number incl_vat?:number",
    "ChargingPreferences": (
        "profile_type:ProfileType departure_time?:DateTime energy_need?:number discharge_allowed?:boolean"
    ),
    "CancelReservation": "response_url:string(255) reservation_id:string(36)",
    "CommandResponse": "result:CommandResponseType timeout:int message*:DisplayText",
    "CommandResult": "result:CommandResultType message*:DisplayText",
    "ReserveNow": (
        "response_url:string(255) token:Token expiry_date:DateTime reservation_id:string(36) "
        "location_id:string(36) evse_uid?:string(36) authorization_reference?:string(36)"
    ),
    "StartSession": (
        "response_url:string(255) token:Token location_id:string(36) evse_uid?:string(36) "
        "connector_id?:string(36) authorization_reference?:string(36)"
    ),
    "StopSession": "response_url:string(255) session_id:string(36)",
    "UnlockConnector": ("response_url:string(255) location_id:string(36) evse_uid:string(36) connector_id:string(36)"),
    "ChargingProfileResponse": "result:ChargingProfileResponseType timeout:int",
    "ActiveChargingProfileResult": "result:ChargingProfileResultType profile?:ActiveChargingProfile",
    "ChargingProfileResult": "result:ChargingProfileResultType",
    "ClearProfileResult": "result:ChargingProfileResultType",
    "SetChargingProfile": "charging_profile:ChargingProfile response_url:string(255)",
    "ActiveChargingProfile": "start_date_time:DateTime charging_profile:ChargingProfile",
    "ChargingProfile": (
        "start_date_time?:DateTime duration?:int charging_rate_unit:ChargingRateUnit min_charging_rate?:number "
        "charging_profile_period*:ChargingProfilePeriod"
    ),
    "ChargingProfilePeriod": "start_period:int limit:number",
    "ClientInfo": ("party_id:string(3) country_code:alpha2 role:Role status:ConnectionStatus last_updated:DateTime"),
}
_BOTH_ENUMS: Final[dict[str, str]] = {
    "ConnectorFormat": "SOCKET CABLE",
    "EnergySourceCategory": "NUCLEAR GENERAL_FOSSIL COAL GAS GENERAL_GREEN SOLAR WIND WATER",
    "EnvironmentalImpactCategory": "NUCLEAR_WASTE CARBON_DIOXIDE",
    "ImageCategory": "CHARGER ENTRANCE LOCATION NETWORK OPERATOR OTHER OWNER",
    "ParkingRestriction": "EV_ONLY PLUGGED DISABLED CUSTOMERS MOTORCYCLES",
    "Status": "AVAILABLE BLOCKED CHARGING INOPERATIVE OUTOFORDER PLANNED REMOVED RESERVED UNKNOWN",
    "DayOfWeek": "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY",
    "TariffDimensionType": "ENERGY FLAT PARKING_TIME TIME",
    "WhitelistType": "ALWAYS ALLOWED ALLOWED_OFFLINE NEVER",
    "AllowedType": "ALLOWED BLOCKED EXPIRED NO_CREDIT NOT_ALLOWED",
}
_OLD_ENUMS: Final[dict[str, str]] = {
    "Capability": (
        "CHARGING_PROFILE_CAPABLE CREDIT_CARD_PAYABLE REMOTE_START_STOP_CAPABLE RESERVABLE RFID_READER UNLOCK_CAPABLE"
    ),
    "ConnectorType": (
        "CHADEMO DOMESTIC_A DOMESTIC_B DOMESTIC_C DOMESTIC_D DOMESTIC_E DOMESTIC_F DOMESTIC_G DOMESTIC_H "
        "DOMESTIC_I DOMESTIC_J DOMESTIC_K DOMESTIC_L IEC_60309_2_single_16 IEC_60309_2_three_16 "
        "IEC_60309_2_three_32 IEC_60309_2_three_64 IEC_62196_T1 IEC_62196_T1_COMBO IEC_62196_T2 "
        "IEC_62196_T2_COMBO IEC_62196_T3A IEC_62196_T3C TESLA_R TESLA_S"
    ),
    "Facility": (
        "HOTEL RESTAURANT CAFE MALL SUPERMARKET SPORT RECREATION_AREA NATURE MUSEUM BUS_STOP TAXI_STAND "
        "TRAIN_STATION AIRPORT CARPOOL_PARKING FUEL_STATION WIFI"
    ),
    "LocationType": "ON_STREET PARKING_GARAGE UNDERGROUND_GARAGE PARKING_LOT OTHER UNKNOWN",
    "PowerType": "AC_1_PHASE AC_3_PHASE DC",
    "TokenType": "OTHER RFID",
    "SessionStatus": "ACTIVE COMPLETED INVALID PENDING",
    "AuthMethod": "AUTH_REQUEST WHITELIST",
    "CdrDimensionType": "ENERGY FLAT MAX_CURRENT MIN_CURRENT PARKING_TIME TIME",
    "CommandResponseType": "NOT_SUPPORTED REJECTED ACCEPTED TIMEOUT UNKNOWN_SESSION",
}
_NEW_ENUMS: Final[dict[str, str]] = {
    "Capability": (
        "CHARGING_PROFILE_CAPABLE CHARGING_PREFERENCES_CAPABLE CHIP_CARD_SUPPORT CONTACTLESS_CARD_SUPPORT "
        "CREDIT_CARD_PAYABLE DEBIT_CARD_PAYABLE PED_TERMINAL REMOTE_START_STOP_CAPABLE RESERVABLE RFID_READER "
        "START_SESSION_CONNECTOR_REQUIRED TOKEN_GROUP_CAPABLE UNLOCK_CAPABLE"
    ),
    "ConnectorType": (
        "CHADEMO CHAOJI DOMESTIC_A DOMESTIC_B DOMESTIC_C DOMESTIC_D DOMESTIC_E DOMESTIC_F DOMESTIC_G DOMESTIC_H "
        "DOMESTIC_I DOMESTIC_J DOMESTIC_K DOMESTIC_L DOMESTIC_M DOMESTIC_N DOMESTIC_O GBT_AC GBT_DC "
        "IEC_60309_2_single_16 IEC_60309_2_three_16 IEC_60309_2_three_32 IEC_60309_2_three_64 IEC_62196_T1 "
        "IEC_62196_T1_COMBO IEC_62196_T2 IEC_62196_T2_COMBO IEC_62196_T3A IEC_62196_T3C NEMA_5_20 NEMA_6_30 "
        "NEMA_6_50 NEMA_10_30 NEMA_10_50 NEMA_14_30 NEMA_14_50 PANTOGRAPH_BOTTOM_UP PANTOGRAPH_TOP_DOWN TESLA_R "
        "TESLA_S"
    ),
    "Facility": (
        "HOTEL RESTAURANT CAFE MALL SUPERMARKET SPORT RECREATION_AREA NATURE MUSEUM BIKE_SHARING BUS_STOP "
        "TAXI_STAND TRAM_STOP METRO_STATION TRAIN_STATION AIRPORT PARKING_LOT CARPOOL_PARKING FUEL_STATION WIFI"
    ),
    "ParkingType": "ALONG_MOTORWAY PARKING_GARAGE PARKING_LOT ON_DRIVEWAY ON_STREET UNDERGROUND_GARAGE",
    "PowerType": "AC_1_PHASE AC_2_PHASE AC_2_PHASE_SPLIT AC_3_PHASE DC",
    "ReservationRestrictionType": "RESERVATION RESERVATION_EXPIRES",
    "TariffType": "AD_HOC_PAYMENT PROFILE_CHEAP PROFILE_FAST PROFILE_GREEN REGULAR",
    "TokenType": "AD_HOC_USER APP_USER OTHER RFID",
    "ProfileType": "CHEAP FAST GREEN REGULAR",
    "SessionStatus": "ACTIVE COMPLETED INVALID PENDING RESERVATION",
    "AuthMethod": "AUTH_REQUEST COMMAND WHITELIST",
    "CdrDimensionType": (
        "CURRENT ENERGY ENERGY_EXPORT ENERGY_IMPORT MAX_CURRENT MIN_CURRENT MAX_POWER MIN_POWER PARKING_TIME "
        "POWER RESERVATION_TIME STATE_OF_CHARGE TIME"
    ),
    "Role": "CPO EMSP HUB NAP NSP OTHER SCSP",
    "ChargingPreferencesResponse": (
        "ACCEPTED DEPARTURE_REQUIRED ENERGY_NEED_REQUIRED NOT_POSSIBLE PROFILE_TYPE_NOT_SUPPORTED"
    ),
    "CommandResponseType": "NOT_SUPPORTED REJECTED ACCEPTED UNKNOWN_SESSION",
    "CommandResultType": (
        "ACCEPTED CANCELED_RESERVATION EVSE_OCCUPIED EVSE_INOPERATIVE FAILED NOT_SUPPORTED REJECTED TIMEOUT "
        "UNKNOWN_RESERVATION"
    ),
    "ChargingProfileResponseType": "ACCEPTED NOT_SUPPORTED REJECTED TOO_OFTEN UNKNOWN_SESSION",
    "ChargingProfileResultType": "ACCEPTED REJECTED UNKNOWN",
    "ChargingRateUnit": "W A",
    "ConnectionStatus": "CONNECTED OFFLINE PLANNED SUSPENDED",
}

_OBJECTS: Final = {OLD: _BOTH | _OLD, NEW: _BOTH | _NEW}
_ENUMS: Final = {OLD: _BOTH_ENUMS | _OLD_ENUMS, NEW: _BOTH_ENUMS | _NEW_ENUMS}

_TIME: Final = r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
_PATTERNS: Final = {
    # types, DateTime: UTC, the designator may be left out and is never an offset; 2.1.1 shows no fractions.
    OLD: {"DateTime": f"{_TIME}Z?", "latitude": r"-?[0-9]{1,2}\.[0-9]{6}", "longitude": r"-?[0-9]{1,3}\.[0-9]{6}"},
    NEW: {
        "DateTime": rf"{_TIME}(\.[0-9]+)?Z?",
        "latitude": r"-?[0-9]{1,2}\.[0-9]{5,7}",
        "longitude": r"-?[0-9]{1,3}\.[0-9]{5,7}",
    },
}
_PATTERNS_OF_BOTH: Final = {
    "alpha2": "[A-Za-z]{2}",
    "alpha3": "[A-Z]{3}",
    "hour": "([0-1][0-9]|2[0-3]):[0-5][0-9]",
    "date": "[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
}
_LONGEST_TIME: Final = 25


@frozen
class Finding:
    """Something in a document that isn't as the specification has it.

    Attributes:
        path: where, as a JSON path.
        what: what is wrong, in words.
        fatal: whether the object can't be used: a required field is missing, or a value has the wrong JSON type. A good
            peer answers 2001 to that and lives with everything else.
    """

    path: str
    what: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@frozen
class _Field:
    name: str
    type: str
    card: str  # "1", "?", "*" or "+"

    @property
    def required(self) -> bool:
        return self.card in "1+"

    @property
    def many(self) -> bool:
        return self.card in "*+"


def _table(text: str) -> dict[str, _Field]:
    fields = {}
    for word in text.split():
        name, type_ = word.split(":", 1)
        card = name[-1] if name[-1] in "?*+" else "1"
        fields[name.rstrip("?*+")] = _Field(name.rstrip("?*+"), type_, card)
    return fields


_TABLES: Final = {version: {kind: _table(text) for kind, text in kinds.items()} for version, kinds in _OBJECTS.items()}
_VALUES: Final = {
    version: {name: frozenset(text.split()) for name, text in enums.items()} for version, enums in _ENUMS.items()
}


def examine(version: str, kind: str, value: object, *, partial: bool = False, path: str = "$") -> list[Finding]:
    """Everything about ``value`` that isn't as ``kind`` is written in ``version``.

    ``kind`` may also be an enum: some answers are a bare word. ``partial`` is for the body of a PATCH: fields may be
    missing at its top level (``transport_and_format``, PATCH).
    """
    if kind in _VALUES[version]:
        return list(_value(version, kind, value, path))
    return list(_object(version, kind, value, path, partial=partial))


def is_date_time(version: str, value: object) -> bool:
    """Whether ``value`` is a DateTime as ``version`` writes it."""
    if not isinstance(value, str) or len(value) > _LONGEST_TIME:
        return False
    return re.fullmatch(_PATTERNS[version]["DateTime"], value) is not None


def _object(version: str, kind: str, value: object, path: str, *, partial: bool = False) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield Finding(path, f"is no {kind} object", fatal=True)
        return
    table = _TABLES[version][kind]
    for name, field in table.items():
        if value.get(name) is None:
            if field.required and not partial:
                yield Finding(f"{path}.{name}", "required", fatal=True)
        elif field.many:
            yield from _list(version, field, value[name], f"{path}.{name}")
        else:
            yield from _value(version, field.type, value[name], f"{path}.{name}")
    other = NEW if version == OLD else OLD
    for name in sorted(value.keys() - table.keys()):
        if name in _TABLES[other].get(kind, {}):
            yield Finding(f"{path}.{name}", f"is a field of {other}, not of {version}")
    yield from _customs(version, kind, value, path)


def _list(version: str, field: _Field, value: object, path: str) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield Finding(path, "is no list", fatal=True)
        return
    if not value and field.required:
        yield Finding(path, "must not be empty", fatal=True)
    for index, item in enumerate(value):
        yield from _value(version, field.type, item, f"{path}[{index}]")


def _value(version: str, type_: str, value: Any, path: str) -> Iterator[Finding]:
    if type_ in _TABLES[version]:
        yield from _object(version, type_, value, path)
    elif type_ == "boolean":
        if not isinstance(value, bool):
            yield Finding(path, "is no boolean", fatal=True)
    elif type_ in ("int", "number"):
        wanted = int if type_ == "int" else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            yield Finding(path, f"is no {type_}", fatal=True)
    elif not isinstance(value, str):
        yield Finding(path, "is no string", fatal=True)
    else:
        yield from _text(version, type_, value, path)


def _text(version: str, type_: str, value: str, path: str) -> Iterator[Finding]:
    if version == OLD and value == "#NA":
        yield Finding(path, "2.1.1 has no #NA")
    elif type_ in _VALUES[version]:
        if value not in _VALUES[version][type_]:
            yield Finding(path, f"{value!r} is no {type_} of {version}")
    elif length := re.fullmatch(r"string\((\d+)\)", type_):
        if len(value) > int(length[1]):
            yield Finding(path, f"has {len(value)} characters, {length[1]} are allowed")
    elif type_ == "DateTime":
        if not is_date_time(version, value):
            yield Finding(path, f"{value!r} is no DateTime of {version}")
    else:
        pattern = _PATTERNS[version].get(type_) or _PATTERNS_OF_BOTH[type_]
        if not re.fullmatch(pattern, value):
            yield Finding(path, f"{value!r} is no {type_}")


def _customs(version: str, kind: str, value: dict[str, Any], path: str) -> Iterator[Finding]:
    """What the tables say in prose only."""
    if version != OLD:
        if kind == "StartSession" and value.get("connector_id") and not value.get("evse_uid"):
            yield Finding(f"{path}.evse_uid", "required when there is a connector_id")
        return
    # 2.1.1 mod_locations 4.13: one of the two; its own example says false beside the hours.
    always = value.get("twentyfourseven") if kind == "Hours" else False
    if always is not False and bool(always) == bool(value.get("regular_hours")):
        yield Finding(path, "needs either twentyfourseven or regular_hours")
    if kind in ("Session", "CDR") and isinstance(location := value.get("location"), dict):
        evses = location.get("evses") or []
        connectors = [c for evse in evses if isinstance(evse, dict) for c in evse.get("connectors") or []]
        if len(evses) > 1 or len(connectors) > 1:  # 2.1.1 mod_sessions 3.1, mod_cdrs 3.1
            yield Finding(f"{path}.location", "shows more than the EVSE and connector of this charge")
