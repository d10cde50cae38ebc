"""Deterministic CBOR (SPEC §8.1): a strict check that runs before cbor2 sees a byte."""

import cbor2

MAX_LEVELS = 4
MAX_ELEMENTS = 32
SIMPLE = (0xF4, 0xF5, 0xF6)  # false, true, null


class Malformed(ValueError):
    """The bytes are not in the profile of SPEC §8.1 (ENC-1)."""


def head(data, at):
    """Reads the head of an item: (major type, argument, where its content begins)."""
    if at >= len(data):
        raise Malformed("breaks off")
    major, info = data[at] >> 5, data[at] & 0x1F
    at += 1
    if info < 24:
        return major, info, at
    if info > 27:
        raise Malformed("indefinite or reserved length")
    size = 1 << (info - 24)
    if at + size > len(data):
        raise Malformed("breaks off")
    value = int.from_bytes(data[at:at + size], "big")
    shortest = 24 if size == 1 else 1 << (4 * size)
    if value < shortest:
        raise Malformed("not the shortest form")
    return major, value, at + size


def check(data, at=0, level=1):
    """Checks the one item that begins at `at`, and returns where it ends."""
    first = data[at] if at < len(data) else None
    if first in SIMPLE:
        return at + 1
    major, value, at = head(data, at)
    if major in (0, 1):
        return at
    if major in (2, 3):
        if value > len(data) - at:  # ENC-2
            raise Malformed("longer than what is left")
        if major == 3:
            try:
                data[at:at + value].decode("utf-8")
            except UnicodeDecodeError:
                raise Malformed("not UTF-8") from None
        return at + value
    if major in (4, 5):
        if level > MAX_LEVELS:
            raise Malformed("nested too deeply")
        if major == 4 and value > MAX_ELEMENTS:
            raise Malformed("too many elements")
        if value > len(data) - at:  # ENC-2: each element has at least one byte
            raise Malformed("more elements than bytes are left")
        last_key = -1
        for _ in range(value):
            if major == 5:
                kind, key, at = head(data, at)
                if kind != 0 or key > 23 or key <= last_key:
                    raise Malformed("map key")
                last_key = key
            at = check(data, at, level + 1)
        return at
    raise Malformed("tag, floating-point number or simple value")


def decode_one(data):
    """Decodes `data`, which has to be one item and nothing behind it."""
    data = bytes(data)
    if check(data) != len(data):
        raise Malformed("bytes behind the item")
    return cbor2.loads(data)


def encode(value):
    """Encodes a value of the profile.  cbor2 writes lengths and integers in shortest form; keys have to be sorted."""
    return cbor2.dumps(value)
