"""What a device tells of itself (SPEC §22): its methods and its topics, as the `fields` of the vectors."""

import cbor2

from . import cbor
from .names import valid_name

METHOD = "$describe"
MAX_BYTES, MAX_ELEMENTS, MAX_NAME, MAX_TEXT = 65536, 1024, 64, 256
CHUNKS = 0x03  # the bits that are known
STATE, EVENT = 0, 1


class Bad(ValueError):
    """The bytes are no description; nothing of them is used (DSC-4)."""


def ensure(condition, what):
    if not condition:
        raise Bad(what)


def encode(fields):
    """The body of the reply to `$describe`."""
    description = {0: fields["name"]} if "name" in fields else {}
    for key, kind in ((1, "methods"), (2, "topics")):
        description[key] = [_element(entry) for entry in sorted(fields[kind], key=lambda e: e["name"].encode())]
    return cbor.encode(description)


def _element(entry):
    element = {0: entry["name"]}
    if "kind" in entry or entry["chunks"]:
        element[1] = entry.get("kind", entry.get("chunks"))
    if "text" in entry:
        element[2] = entry["text"]
    return element


def decode(data):
    """What a description says; raises Bad."""
    data = bytes(data)
    ensure(len(data) <= MAX_BYTES, "DSC-2")
    try:
        said = _pairs(data)
    except cbor.Malformed as error:
        raise Bad(str(error)) from None
    ensure(1 in said and 2 in said, "a list is missing")
    fields = {"name": _text(said[0], MAX_NAME)} if 0 in said else {}
    fields["methods"] = [_method(*named(element)) for element in said[1]]
    fields["topics"] = [_topic(*named(element)) for element in said[2]]
    for entries in (fields["methods"], fields["topics"]):
        names = [entry["name"].encode() for entry in entries]
        ensure(all(a < b for a, b in zip(names, names[1:])), "names do not ascend")
    return fields


def _pairs(data):
    """The map's values by their keys; the lists are longer than other arrays may be."""
    kind, count, at = cbor.head(data, 0)
    ensure(kind == 5, "not a map")
    said, last_key = {}, -1
    for _ in range(count):
        kind, key, at = cbor.head(data, at)
        ensure(kind == 0 and last_key < key <= 23, "map key")
        last_key = key
        if key in (1, 2):
            said[key], at = _elements(data, at)
        else:  # unknown keys are ignored: DSC-3
            end = cbor.check(data, at, level=2)
            said[key], at = cbor2.loads(data[at:end]), end
    ensure(at == len(data), "bytes behind the map")
    return said


def _elements(data, at):
    kind, count, at = cbor.head(data, at)
    ensure(kind == 4 and count <= MAX_ELEMENTS, "not a list, or too long")
    elements = []
    for _ in range(count):
        end = cbor.check(data, at, level=3)
        elements.append(cbor2.loads(data[at:end]))
        at = end
    return elements, at


def named(element):
    """The element, and what a method and a topic have in common of it."""
    ensure(isinstance(element, dict), "an element is no map")
    name = element.get(0)
    ensure(isinstance(name, str) and valid_name(name), "no name")
    ensure(not any(level.startswith("$") for level in name.split("/")), "a reserved name")
    common = {"name": name}
    if 2 in element:
        common["text"] = _text(element[2], MAX_TEXT)
    return element, common


def _method(element, common):
    chunks = element.get(1, 0)
    ensure(type(chunks) is int and chunks >= 0, "chunks")
    return {**common, "chunks": chunks & CHUNKS}  # DSC-3


def _topic(element, common):
    kind = element.get(1)
    ensure(type(kind) is int and kind in (STATE, EVENT), "kind")
    return {**common, "kind": kind}


def _text(text, most):
    ensure(isinstance(text, str) and 1 <= len(text.encode()) <= most, "no text, or too long")
    ensure(not any(c <= "\x1f" or c == "\x7f" for c in text), "a control character")
    return text
