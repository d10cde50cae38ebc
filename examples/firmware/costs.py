#!/usr/bin/env python3
"""What symbolon costs on a Cortex-M3: builds `measure`, runs it in QEMU, and keeps the tables of README.md.

    costs.py            measures everything and rewrites the tables
    costs.py --check    measures one configuration, and fails where it has grown by more than 5 %
                        against the tables; says so and passes where they are of another compiler

Wants the target thumbv7m-none-eabi and qemu-system-arm (test.sh installs both).  Honours CARGO_TARGET_DIR.
"""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE.parent.parent / "README.md"
BEGIN, END = "<!-- costs: examples/firmware/costs.py -->", "<!-- end of costs -->"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
TRIPLE = "thumbv7m-none-eabi"
GROWTH = 1.05

# What each part adds to the one before.
PARTS = [
    ("", "reset, heap, semihosting, a panic that says where"),
    ("part-handshake", "one connection: the handshake, and all that a peer may send"),
    ("part-calls", "calls and answers"),
    ("part-publications", "the table of topics, publications both ways"),
    ("part-streams", "bodies in chunks"),
    ("part-adapter", "the adapter with a serial line and handles, embassy's executor, the UART"),
]
# The lines of `measure`, in the table's order, and what they are.
RUN = [
    ("handshake-initiator", "instructions of a handshake, initiator"),
    ("handshake-responder", "instructions of a handshake, responder"),
    ("call-64-caller", "instructions of a call with 64 bytes and its reply, caller"),
    ("call-64-server", "instructions of the same, the side that serves"),
    ("publish-1024-publisher", "instructions of a publication of 1 KiB, publisher"),
    ("publish-1024-subscriber", "instructions of the same, subscriber"),
    ("stream-1024-sender", "instructions of each KiB of a body, sender"),
    ("stream-1024-receiver", "instructions of the same, receiver"),
    ("connection-struct", "bytes of a `Connection`"),
    ("handshake-heap-peak", "bytes of heap for it, during the handshake"),
    ("connection-heap", "bytes of heap for it afterwards"),
    ("stack", "bytes of stack, both ends and the measuring included"),
]
# The lines of firmware-host's `memory`: what the firmware says of itself.
MEMORY = [
    ("static-ram", "bytes of static RAM of `examples/firmware` on the UART, frames of 1 KiB"),
    ("heap-peak", "bytes of heap of the same at most, a session replaced by the next included"),
]


def cargo(*arguments):
    subprocess.run(["cargo", *arguments], cwd=HERE, check=True, env={**os.environ, "CARGO_TARGET_DIR": str(TARGET)})


def build(binary, features, opt):
    cargo("build", "--release", "--quiet", "--bin", binary, "--features", features,
          "--config", f'profile.release.opt-level="{opt}"')
    return TARGET / TRIPLE / "release" / binary


def flash(elf):
    """Bytes that go into the flash: what is loaded, as the program headers say."""
    data = elf.read_bytes()
    (offset,), (size, count) = struct.unpack_from("<I", data, 28), struct.unpack_from("<HH", data, 42)
    total = 0
    for index in range(count):
        kind, _, _, _, in_file, _ = struct.unpack_from("<IIIIII", data, offset + index * size)
        if kind == 1:
            total += in_file
    return total


def run(elf):
    command = ["qemu-system-arm", "-M", "lm3s6965evb", "-nographic", "-monitor", "none", "-serial", "null",
               "-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-kernel", str(elf)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"measure has failed:\n{done.stdout}{done.stderr}")
    return lines(done.stdout)


def lines(text):
    return {name: int(value) for name, value in re.findall(r"^([\w-]+) (\d+)$", text, re.M)}


def memory(elf):
    """What the whole firmware takes while a program of this machine talks to it over its UART."""
    command = ["cargo", "run", "--quiet", "--", "memory", str(elf)]
    done = subprocess.run(command, cwd=HERE.parent / "firmware-host", capture_output=True, text=True, timeout=600,
                          env={**os.environ, "CARGO_TARGET_DIR": str(TARGET)})
    if done.returncode != 0:
        sys.exit(f"the firmware has failed:\n{done.stdout}{done.stderr}")
    return lines(done.stdout)


def number(value):
    return f"{value:,}"


def table():
    compiler = subprocess.run(["rustc", "-V"], check=True, capture_output=True, text=True).stdout.strip()
    rows = [BEGIN, "", f"With `{compiler}`, for {TRIPLE}, LTO, compact SHA-2, outlined twice, folded, inlined below 32:", ""]
    rows += ["| flash, each with those before | opt `s` | opt `z` |", "|---|---|---|"]
    for features, what in PARTS:
        sizes = [flash(build("measure", features, opt)) for opt in ("s", "z")]
        rows.append(f"| {what} | {number(sizes[0])} | {number(sizes[1])} |")
    sizes = [flash(build("symbolon-firmware", "uart", opt)) for opt in ("s", "z")]
    rows.append(f"| `examples/firmware` on the UART, all of it | {number(sizes[0])} | {number(sizes[1])} |")
    rows += ["", "| what it takes, with `Limits::small()` | opt `s` | opt `z` |", "|---|---|---|"]
    runs = [run(build("measure", "part-streams", opt)) | memory(build("symbolon-firmware", "uart", opt))
            for opt in ("s", "z")]
    for name, what in RUN + MEMORY:
        rows.append(f"| {what} | {number(runs[0][name])} | {number(runs[1][name])} |")
    rows += ["", END]
    return "\n".join(rows)


def write():
    text = README.read_text()
    begin, end = text.index(BEGIN), text.index(END) + len(END)
    README.write_text(text[:begin] + table() + text[end:])


def check():
    text = README.read_text()
    block = text[text.index(BEGIN):text.index(END)]
    compiler = subprocess.run(["rustc", "-V"], check=True, capture_output=True, text=True).stdout.strip()
    if f"`{compiler}`" not in block:
        print(f"the tables are of another compiler than {compiler}: nothing to compare with")
        return
    kept = {what: int(small.replace(",", "")) for what, small in re.findall(r"^\| (.+?) \| ([\d,]+) \|", block, re.M)}
    elf = build("measure", "part-streams", "s")
    now = {dict(PARTS)["part-streams"]: flash(elf)}
    figures = run(elf)
    now.update({what: figures[name] for name, what in RUN})
    whole = build("symbolon-firmware", "uart", "s")
    now["`examples/firmware` on the UART, all of it"] = flash(whole)
    taken = memory(whole)
    now.update({what: taken[name] for name, what in MEMORY})
    grown = []
    for what, value in now.items():
        print(f"{what}: {number(value)}, was {number(kept[what])}")
        if value > kept[what] * GROWTH:
            grown.append(what)
    if grown:
        sys.exit("grown by more than 5 %: " + "; ".join(grown) + "\nIf it has to be, rewrite the tables: costs.py")


if __name__ == "__main__":
    check() if sys.argv[1:] == ["--check"] else write()
