"""How what is said lies in Redis: a small head that scripts read, and the object, packed.

Two million tokens and a million CDRs are to fit beside everything else, and most of each is words of the
specification. So an object is deflated against a dictionary of these words, which shrinks a token to a third and a CDR
to a quarter in about ten microseconds. The object as received follows the canonical document in the same stream, where
nearly all of it is repetition, and is left out where it is the same byte for byte. Ids, links and versions come after
both, for the same reason.

    general   head: sequence (8 bytes), mark of the last write (9), how many variants (4)   then the record, if any
    variant   the record alone
    record    ``+`` it is there, or ``-`` it is deleted; number of the dictionary (1 byte); the rest, deflated

A dictionary that was ever used is never changed, since what lies in Redis can't be read without it. A better one gets a
number of its own, and replicas that don't know it must be gone before anybody writes with it.
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import Final

import msgspec
from attrs import frozen

from gateway.model.modules import Module
from gateway.model.names import Said, Saying
from gateway.model.party import Party

_HEAD: Final = Struct(">Q9sI")  # '>I8c9I4' in say.lua
HEAD_SIZE: Final = _HEAD.size
_THERE: Final = b"+"
_DELETED: Final = b"-"
# A stream without zlib's own head and checksum: Redis has checksums of its own. The greatest window, for locations.
_RAW: Final = -15
# Above this size the speed of a write counts for more than its last tenth. Bytes.
_LARGE: Final = 16 * 1024

# What comes last is found cheapest, so the usual stands at the end, in the order in which it is usually written.
_CARD: Final = (
    '"auth_id":"energy_contract":{"supplier_name":"","contract_id":"","default_profile_type":"GREENCHEAPFASTREGULAR'
    'AD_HOC_USERAPP_USEROTHERALWAYSALLOWED_OFFLINE"NEVER"valid":false"language":"nlfr"language":"en"'
    '{"uid":"","type":"RFID","auth_id":"","visual_number":"","issuer":"","valid":true,"whitelist":"ALLOWED","language":'
    '"de","last_updated":"2.1.1NL-FR-backend2.2.1{"country_code":"DE","party_id":"","uid":"","type":"RFID",'
    '"contract_id":"","visual_number":"","issuer":"","group_id":"","valid":true,"whitelist":"ALLOWED","language":"de",'
    '"last_updated":"2026-0T00:00Z"}'
)
_CHARGE: Final = (
    '"signed_data":{"encoding_method":"OCMF","encoding_method_version":1,"public_key":"","signed_values":[{"nature":'
    '"Start","plain_data":"","signed_data":""},{"nature":"End","plain_data":"","signed_data":""}],"url":"https://www.'
    '"invoice_reference_id":"home_charging_compensation":false,"credit":true,"credit_reference_id":"'
    "FLATTIMEPARKING_TIMEENERGY_IMPORTENERGY_EXPORTMAX_CURRENTMIN_CURRENTMAX_POWERMIN_POWERRESERVATION_TIMESTATE_OF_"
    "CHARGECOMMANDAUTH_REQUESTWHITELISTINVALIDPENDINGRESERVATIONCOMPLETEDAPP_USERAD_HOC_USERGBPCHFSEKNOKDKKCABLE"
    'IEC_62196_T2_COMBOCHADEMODCAC_1_PHASE"start_datetime":""stop_date_time":""end_datetime":""auth_id":"'
    '"location":{"id":""type":"OTHER","evses":[{"uid":"","evse_id":"","status":"AVAILABLE","connectors":[{"id":"1",'
    '"standard":"IEC_62196_T2","format":"SOCKET","power_type":"AC_3_PHASE","voltage":230,"amperage":32,"tariff_id":"'
    '"restrictions":{"start_time":"","end_time":"","min_kwh":"max_kwh":"min_duration":"max_duration":"day_of_week":['
    '"MONDAY","TUESDAY","WEDNESDAY","THURSDAY","FRIDAY","SATURDAY","SUNDAY"]"min_price":{"max_price":{'
    '"tariff_alt_text":[{"language":"en","text":""}],"tariff_alt_url":"https://"type":"REGULAR"'
    '2.1.1backend2.2.1"status":"ACTIVE","last_updated":"2026-"location_id":"evse_uid":"connector_id":"1","kwh":'
    '{"country_code":"NL","party_id":"","id":"","start_date_time":"2026-0T00:00Z","end_date_time":"2026-0T00:00Z",'
    '"session_id":"","cdr_token":{"country_code":"DE","party_id":"","uid":"","type":"RFID","contract_id":"DE-"},'
    '"auth_method":"WHITELIST","authorization_reference":"","cdr_location":{"id":"","name":"","address":"","city":"",'
    '"postal_code":"","state":"","country":"NLD","coordinates":{"latitude":"5","longitude":"4."},"evse_uid":"",'
    '"evse_id":"NL*E*","connector_id":"1","connector_standard":"IEC_62196_T2","connector_format":"SOCKET",'
    '"connector_power_type":"AC_3_PHASE"},"meter_id":"","currency":"EUR","tariffs":[{"country_code":"NL","party_id":"",'
    '"id":"","currency":"EUR","elements":[{"price_components":[{"type":"ENERGY","price":0.,"vat":21.0,"step_size":1},'
    '{"type":"TIME","price":0.,"vat":21.0,"step_size":60}]}],"last_updated":"2026-0T00:00Z"}],"charging_periods":['
    '{"start_date_time":"2026-0T00:00Z","dimensions":[{"type":"ENERGY","volume":0.},{"type":"TIME","volume":0.},'
    '{"type":"PARKING_TIME","volume":0.}],"tariff_id":""}],"total_cost":{"excl_vat":0.,"incl_vat":0.},'
    '"total_fixed_cost":{"excl_vat":0,"incl_vat":0},"total_energy":0.,"total_energy_cost":{"excl_vat":0.,"incl_vat":0.'
    '},"total_time":0.,"total_time_cost":{"excl_vat":0,"incl_vat":0},"total_parking_time":0,"total_parking_cost":'
    '{"excl_vat":0,"incl_vat":0},"total_reservation_cost":{"excl_vat":0},"remark":"","invoice_reference_id":"",'
    '"last_updated":"2026-0T00:00Z"}'
)
_LOCATION: Final = (
    '"energy_mix":{"is_green_energy":true,"energy_sources":[{"source":"WIND","percentage":"SOLAR","environ_impact":[{'
    '"category":"CARBON_DIOXIDE","amount":"supplier_name":"","energy_product_name":"HOTELRESTAURANTCAFEMALLSUPERMARKET'
    'PARKING_LOTSPORTRECREATION_AREANATUREMUSEUMBUS_STOPTAXI_STANDTRAIN_STATIONAIRPORTFUEL_STATIONWIFI"facilities":["'
    'ALONG_MOTORWAYPARKING_GARAGEON_DRIVEWAYON_STREETUNDERGROUND_GARAGEUNKNOWN"parking_type":""type":"'
    '"exceptional_openings":[{"period_begin":"","period_end":""}],"exceptional_closings":["regular_hours":[{"weekday":1'
    ',"period_begin":"07:00","period_end":"22:00"}"publish_allowed_to":[{"uid":""related_locations":['
    '"directions":[{"language":"en","text":""}],"images":[{"url":"https://","thumbnail":"https://","category":"CHARGER'
    '","type":"jpeg","width":,"height":}]"status_schedule":[{"floor_level":"physical_reference":"'
    '"parking_restrictions":["EV_ONLY","PLUGGED","CUSTOMERS"]CHARGINGBLOCKEDINOPERATIVEOUTOFORDERPLANNEDREMOVED'
    "RESERVEDUNKNOWNCHARGING_PROFILE_CAPABLECREDIT_CARD_PAYABLEUNLOCK_CAPABLECONTACTLESS_CARD_SUPPORT"
    'CHADEMODOMESTIC_FIEC_62196_T2_COMBO","format":"CABLE","power_type":"DC","max_voltage":920,AC_1_PHASE'
    '"voltage":230,"amperage":16,"tariff_id":"","terms_and_conditions":"https://www.2.1.1backend2.2.1'
    '{"country_code":"NL","party_id":"","id":"","publish":true,"name":"","address":"","city":"","postal_code":"",'
    '"state":"","country":"NLD","coordinates":{"latitude":"5","longitude":"4."},"parking_type":"ON_STREET","evses":['
    '{"uid":"","evse_id":"NL*E*","status":"AVAILABLE","capabilities":["RFID_READER","RESERVABLE",'
    '"REMOTE_START_STOP_CAPABLE"],"connectors":[{"id":"1","standard":"IEC_62196_T2","format":"SOCKET","power_type":'
    '"AC_3_PHASE","max_voltage":230,"max_amperage":32,"max_electric_power":22000,"tariff_ids":[""],"last_updated":'
    '"2026-0T00:00Z"},{"id":"2","standard":"IEC_62196_T2"}],"coordinates":{"latitude":"5","longitude":"4."},'
    '"last_updated":"2026-0T00:00Z"}],"operator":{"name":"","website":"https://www.","logo":{"url":"https://"}},'
    '"suboperator":{"name":""},"owner":{"name":""},"time_zone":"Europe/Amsterdam","opening_times":{"twentyfourseven":'
    'true},"charging_when_closed":true,"last_updated":"2026-0T00:00Z"}'
)
_TARIFF: Final = (
    '"energy_mix":{"is_green_energy":true,"energy_sources":[{"source":"percentage":"supplier_name":"'
    '"energy_product_name":""reservation":"RESERVATION_EXPIRES"min_current":"max_current":"min_power":"max_power":'
    '"start_date":"end_date":"min_duration":"max_duration":AD_HOC_PAYMENTPROFILE_CHEAPPROFILE_FASTPROFILE_GREEN'
    '"min_price":{"excl_vat":,"incl_vat":},"max_price":{"excl_vat":2.1.1backend2.2.1'
    '{"country_code":"NL","party_id":"","id":"","currency":"EUR","type":"REGULAR","tariff_alt_text":[{"language":"en",'
    '"text":""}],"tariff_alt_url":"https://www.","elements":[{"price_components":[{"type":"FLAT","price":0.,"vat":21.0,'
    '"step_size":1},{"type":"ENERGY","price":0.,"vat":21.0,"step_size":1},{"type":"TIME","price":0.,"vat":21.0,'
    '"step_size":60},{"type":"PARKING_TIME","price":0.,"step_size":300}],"restrictions":{"start_time":"09:00",'
    '"end_time":"18:00","min_kwh":0,"max_kwh":0,"day_of_week":["MONDAY","TUESDAY","WEDNESDAY","THURSDAY","FRIDAY",'
    '"SATURDAY","SUNDAY"]}}],"start_date_time":"2026-0T00:00Z","end_date_time":"2026-0T00:00Z","last_updated":'
    '"2026-0T00:00Z"}'
)

DICTIONARIES: Final = tuple(text.encode() for text in ("", _CARD, _LOCATION + _CHARGE, _LOCATION, _TARIFF))
"""By number. Frozen: see above. Some versions have the whole location in each session and CDR."""

_NUMBERS: Final = {
    Module.TOKENS: 1,
    Module.SESSIONS: 2,
    Module.CDRS: 2,
    Module.LOCATIONS: 3,
    Module.TARIFFS: 4,
}


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    canonical: bytes
    wire: bytes | None  # None: the same as canonical
    id: str
    version: str
    source: str
    at: int
    correlation: str
    receiver: str


_DECODER: Final = msgspec.msgpack.Decoder(_Packed)


@frozen
class General:
    """What lies under a name: the general object's record, and what it shares with its variants.

    Attributes:
        sequence: of the last write of the name, 0 if there was none.
        variants: how many there are that aren't deleted.
        record: empty if there is no general object.
    """

    sequence: int
    variants: int
    record: bytes


def pack(saying: Saying, at: int) -> bytes:
    """The record of an object that is said at this time (milliseconds since 1970)."""
    packed = _Packed(
        canonical=saying.canonical,
        wire=None if saying.wire == saying.canonical else saying.wire,
        id=saying.name.id,
        version=saying.version,
        source=saying.source,
        at=at,
        correlation=saying.correlation,
        receiver=str(saying.receiver or ""),
    )
    state = _DELETED if saying.deleted else _THERE
    return state + deflated(saying.name.module, msgspec.msgpack.encode(packed))


def deflated(module: Module, plain: bytes) -> bytes:
    """Bytes that are mostly words of this module: the number of its dictionary, and the rest deflated against that."""
    number = _NUMBERS.get(module, 0)
    level = 1 if len(plain) > _LARGE else 6
    deflate = zlib.compressobj(level, zlib.DEFLATED, _RAW, zdict=DICTIONARIES[number])
    return b"".join((bytes((number,)), deflate.compress(plain), deflate.flush()))


def general(stored: bytes | None) -> General:
    """What lies under a name; None: nothing."""
    if stored is None:
        return General(0, 0, b"")
    sequence, _, variants = _HEAD.unpack_from(stored)
    return General(sequence, variants, stored[_HEAD.size :])


def shadows(variant: bytes | None, general: bytes) -> bool:
    """Whether there is this variant. A deleted one shadows nothing, unless there is no general object."""
    return variant is not None and not (variant.startswith(_DELETED) and general)


def unpack(record: bytes | None, sequence: int) -> Said | None:
    """The object of a record; None for an empty one.

    Raises:
        ValueError: it was written with a dictionary that this release doesn't know: by a later one.
    """
    if not record:
        return None
    packed = _DECODER.decode(inflated(record[1:]))
    return Said(
        id=packed.id,
        canonical=packed.canonical,
        wire=packed.canonical if packed.wire is None else packed.wire,
        version=packed.version,
        source=packed.source,
        sequence=sequence,
        deleted=record.startswith(_DELETED),
        at=packed.at,
        correlation=packed.correlation,
        receiver=Party.parse(packed.receiver) if packed.receiver else None,
    )


def inflated(stored: bytes) -> bytes:
    """What ``deflated`` was given.

    Raises:
        ValueError: it was written with a dictionary that this release doesn't know: by a later one.
    """
    number = stored[0]
    if number >= len(DICTIONARIES):
        raise ValueError("an object in Redis was written by a later release of the gateway: run that one")
    return zlib.decompressobj(_RAW, zdict=DICTIONARIES[number]).decompress(stored[1:])
