"""Messages: arrays of CBOR inside a frame's plaintext (SPEC §8.2, §9)."""

import cbor2

from . import cbor

U16, U32, U64 = 2**16 - 1, 2**32 - 1, 2**64 - 1
MORE, UNKNOWN, ABORT, RETAINED = 0x01, 0x02, 0x02, 0x04

# number: (name, who may send it, fields in order).  "any"; "O" opener, "A" answerer; "R" the connection's responder.
# A field is (name, kind): a number is the largest value, `bytes` and `str` are types, a set is the flags defined.
ID = ("id", U64)
TABLE = {
    0: ("accept", "R", []),
    1: ("close", "any", [("status", U16)]),
    2: ("goaway", "any", [("last", U64)]),
    3: ("ping", "any", [("token", U64)]),
    4: ("pong", "any", [("token", U64)]),
    5: ("request", "O", [ID, ("deadline", U32), ("flags", {MORE}), ("method", str), ("body", bytes)]),
    6: ("response", "A", [ID, ("status", U16), ("flags", {MORE}), ("body", bytes)]),
    7: ("busy", "A", [ID, ("retry", U32)]),
    8: ("cancel", "any", [ID, ("status", U16)]),
    9: ("data", "any", [ID, ("chunk", bytes)]),
    10: ("end", "any", [ID, ("status", U16)]),
    11: ("credit", "any", [ID, ("limit", U64)]),
    12: ("subscribe", "O", [ID, ("limit", U64), ("filter", str), ("epoch", U32), ("sequence", U64)]),
    13: ("publication", "A", [ID, ("missed", U32), ("flags", {MORE, UNKNOWN, RETAINED}), ("topic", str),
                              ("epoch", U32), ("sequence", U64), ("chunk", bytes), ("total", U64)]),
    14: ("continuation", "A", [ID, ("flags", {MORE, ABORT}), ("chunk", bytes)]),
    15: ("missed", "A", [ID, ("flags", {UNKNOWN}), ("count", U32)]),
}
NUMBER = {name: number for number, (name, _, _) in TABLE.items()}
IGNORABLE = range(20, 24)


class Violation(Exception):
    """The other side broke a rule: the connection ends with `violation`."""


class Message:
    """One message that was got; its fields are attributes.  A field that is not there is None."""

    def __init__(self, name, by, elements, cost):
        self.name, self.by, self.elements, self.cost = name, by, elements, cost


def decode(plaintext):
    """Yields the messages of a frame one by one, so that those before a bad one take effect (TRN-4)."""
    at = 0
    if not plaintext:
        raise Violation("empty frame")
    while at < len(plaintext):
        try:
            end = cbor.check(plaintext, at)
        except cbor.Malformed as error:
            raise Violation(f"ENC-1: {error}") from None
        yield _decode_one(cbor2.loads(plaintext[at:end]), end - at)
        at = end


def _decode_one(elements, cost):
    if not isinstance(elements, list) or not elements or type(elements[0]) is not int or elements[0] < 0:
        raise Violation("ENC-9: not a message")
    if elements[0] in IGNORABLE:
        return Message("padding", "any", elements, cost)  # ENC-5
    if elements[0] not in TABLE:
        raise Violation("ENC-6: unknown type")
    name, by, fields = TABLE[elements[0]]
    given = elements[1:]
    message = Message(name, by, elements, cost)
    for (field, _) in fields:
        setattr(message, field, None)
    for (field, kind), value in zip(_present(name, fields, given), given):  # what is behind is ignored: ENC-3
        _check_field(field, kind, value)
        setattr(message, field, value)
    return message


def _present(name, fields, given):
    """The fields that have to be there."""
    if name == "subscribe":
        if len(given) == 4:
            raise Violation("MSG-1: epoch without sequence")
        if len(given) == 3:
            fields = fields[:3]
    if name == "publication":
        more = len(given) >= 3 and type(given[2]) is int and given[2] & MORE
        if not more:
            fields = fields[:7]  # MSG-3
    if len(given) < len(fields):
        raise Violation("ENC-4: a field is missing")
    return fields


def _check_field(field, kind, value):
    """ENC-4; for flags ENC-7, for names NAM-2."""
    if kind in (bytes, str):
        if type(value) is not kind:
            raise Violation(f"ENC-4: {field}")
        if kind is str and len(value.encode()) > 128:
            raise Violation(f"NAM-2: {field}")
    elif type(value) is not int or value < 0:
        raise Violation(f"ENC-4: {field}")
    elif isinstance(kind, set):
        if value & ~sum(kind):
            raise Violation("ENC-7: flags")
    elif value > kind:
        raise Violation(f"ENC-4: {field}")


def make(name, *fields):
    """A message as a list, to be encoded by `cbor.encode`."""
    return [NUMBER[name], *fields]
