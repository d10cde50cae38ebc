#!/usr/bin/env python3
"""Fails where the public API names a type or a trait of a library that users should not have to know.

    foreign_types.py target/api/doc/symbolon.json

Reads what `cargo +nightly rustdoc -- -Z unstable-options --output-format json` writes.  A foreign type in a signature
makes each of its library's releases one of this crate's; so what may be named is a list.
"""

import json
import sys

# Each name, or everything below it where it ends with `::`.  A change here is a change of the public API.
ALLOWED = (
    "alloc::",
    "bytes::",
    "core::",
    "embedded_io::Error",
    "embedded_io::ErrorKind",
    "embedded_io::ErrorType",
    "embedded_io_async::Read",
    "embedded_io_async::Write",
    "futures_core::stream::Stream",
    "minicbor::decode::Decode",
    "minicbor::encode::Encode",
    "std::",
    "tokio::io::async_read::AsyncRead",
    "tokio::io::async_write::AsyncWrite",
    "tokio::io::read_buf::ReadBuf",
    "tokio::net::addr::ToSocketAddrs",
)

# Formats that this was tried with.  rustdoc may move any part of another, and a walk that misses it finds nothing.
FORMATS = (57,)
# How it exits then, so that who cannot choose the compiler can tell it from a leak.
UNKNOWN_FORMAT = 3


def paths(value):
    """Every path in a part of an item: types, traits, bounds and imports all have the two keys."""
    if isinstance(value, dict):
        if "id" in value and ("path" in value or "source" in value):
            yield value["id"], value.get("path", value.get("source"))
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from paths(part)


def is_written(item):
    """Whether somebody wrote this item here: the compiler adds implementations for every type."""
    implementation = item["inner"].get("impl", {})
    return item["crate_id"] == 0 and not implementation.get("is_synthetic") and not implementation.get("blanket_impl")


def place(item):
    span = item["span"]
    return f"{span['filename']}:{span['begin'][0]}" if span else "somewhere"


def foreign(api):
    """Each foreign name, with the places that name it."""
    found = {}
    for item in filter(is_written, api["index"].values()):
        for number, written in paths(item["inner"]):
            known = api["paths"].get(str(number))
            own = str(number) in api["index"] and api["index"][str(number)]["crate_id"] == 0
            if known and known["crate_id"] != 0:
                found.setdefault("::".join(known["path"]), set()).add(place(item))
            elif not known and not own and number is not None:
                found.setdefault(f"{written} (of unknown origin)", set()).add(place(item))
    return found


def is_allowed(name):
    return any(name.startswith(allowed) if allowed.endswith("::") else name == allowed for allowed in ALLOWED)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        api = json.load(file)
    if api["format_version"] not in FORMATS:
        print(
            f"rustdoc's JSON has format {api['format_version']}; known are {FORMATS}.  See what has changed "
            "(rustdoc-json-types), try a deliberate leak, then add it to FORMATS."
        )
        sys.exit(UNKNOWN_FORMAT)
    found = foreign(api)
    if "core::result::Result" not in found:
        sys.exit("not even Result is named: this has read nothing")
    leaks = {name: places for name, places in found.items() if not is_allowed(name)}
    for name, places in sorted(leaks.items()):
        print(f"the public API names {name}:")
        for where in sorted(places):
            print(f"  {where}")
    print(f"{len(found)} foreign names in the public API, {len(leaks)} not allowed")
    sys.exit(1 if leaks else 0)


main()
