#!/usr/bin/env python3
"""Instructions of the core's hot paths, counted by callgrind and held against counts.json.

    count.py                  counts and prints
    count.py --check          fails where a path has grown by more than 5 %; says so and passes where counts.json is of
                              another compiler
    count.py --update         counts twice, and rewrites counts.json where both agree to within 0.1 %
    count.py --profile PATH   the functions in which a path spends what it spends outside cryptography

Wants valgrind.  Honours CARGO_TARGET_DIR.

Instructions are no time, but they are the same each time, on a busy machine and on another one.  To make them so, all
that would look at the processor is switched off: the primitives are built without their backends for it, and the C
library takes its plain routines for copying.  Callgrind hands on what the processor of the host can do, so without this
the figures would be the host's.  What a path takes outside cryptography hardly depends on that, and it is the figure to
watch: the cipher is so much slower here than in use that little else shows in the whole.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEPT = HERE / "counts.json"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "instructions"
GROWTH = 1.05
AGREEMENT = 1.001

# Each path of main.rs, with how often it runs: enough that credit has come back many times.
PATHS = {
    "handshake": (5, 15),
    "request-64": (100, 1_100),
    "publications-64": (100, 300),
    "publication-16k": (100, 300),
    "chunk-16k": (100, 300),
    "subscribe": (100, 1_100),
    "fan-out-50": (100, 300),
}
WHOLE, OWN = "whole", "outside cryptography"
PLAIN = ['chacha20_backend="soft"', 'poly1305_backend="soft"', 'sha2_backend="soft"', 'curve25519_dalek_backend="serial"']
LIBC = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX_Fast_Unaligned_Load,-BMI2,-ERMS,-FSRM,-MOVBE,-SSE4_1,-SSE4_2,-SSSE3"
# By the folders of their sources, and by the names of functions into which the standard library was inlined.
CRYPTOGRAPHY = re.compile(
    r"/(block-buffer|chacha20|chacha20poly1305|cipher|cmov|ctutils|curve25519-dalek|digest|ed25519|ed25519-dalek"
    r"|hybrid-array|inout|poly1305|sha2|subtle|universal-hash|x25519-dalek|zeroize)-\d"
    r"|\b(chacha20|chacha20poly1305|cipher|curve25519_dalek|digest|ed25519_dalek|poly1305|sha2|x25519_dalek)::")


def build():
    """The bench with the names of its functions; returns where it is."""
    flags = " ".join(f"--cfg {flag}" for flag in PLAIN)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "RUSTFLAGS": flags, "CARGO_PROFILE_BENCH_DEBUG": "1"}
    command = ["cargo", "bench", "--bench", "instructions", "--no-run", "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    (executable,) = [message["executable"] for message in messages
                     if message.get("executable") and message["target"]["name"] == "instructions"]
    return executable


def run(executable, path, times):
    """What so many runs take, by file and function."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", executable, path, str(times)]
        # The environment lies on the stack: its length would shift what lies below.
        environment = {"PATH": os.environ["PATH"], "GLIBC_TUNABLES": LIBC}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{path} has failed:\n{done.stdout}{done.stderr}")
        return read(out.read_text())


def read(text):
    """Callgrind's format: the cost of each line, without that of what it calls, by file and function."""
    costs, names = Counter(), {"file": {}, "function": {}}
    file = function = None
    called = False
    for line in text.splitlines():
        if match := re.match(r"(fl|fi|fe|cfi|cfl|fn|cfn)=\((\d+)\)(?: (.*))?$", line):
            key, number, name = match.groups()
            known = names["function" if key.endswith("fn") else "file"]
            if name:
                known[number] = name
            if key == "fn":
                function = known[number]
            elif key in ("fl", "fi", "fe"):
                file = known[number]
        elif line.startswith("calls="):
            called = True
        elif match := re.match(r"[+\-*\d]\S* (\d+)", line):
            if not called:
                costs[file, function] += int(match.group(1))
            called = False
    return costs


def once(executable, path):
    """What one run takes in the steady state: the difference of two that differ in nothing but how often."""
    few, many = PATHS[path]
    costs = run(executable, path, many)
    costs.subtract(run(executable, path, few))
    return {place: cost / (many - few) for place, cost in costs.items()}


def is_cryptography(place):
    file, function = place
    return bool(CRYPTOGRAPHY.search(file) or CRYPTOGRAPHY.search(function))


def figures(executable, path):
    costs = once(executable, path)
    own = sum(cost for place, cost in costs.items() if not is_cryptography(place))
    return {WHOLE: round(sum(costs.values())), OWN: round(own)}


def count():
    executable = build()
    counted = {}
    for path in PATHS:
        counted[path] = figures(executable, path)
        print(f"{path}: {counted[path][WHOLE]:,}, {counted[path][OWN]:,} of them {OWN}", flush=True)
    return counted


def compiler():
    """Its version, and what it compiles for."""
    told = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"^host: (.*)$", told, re.M).group(1)
    return f"{told.splitlines()[0]} for {host}"


def grown(before, after, most):
    """The figures that have grown by more than that."""
    return [f"{path}, {what}: {before[path][what]:,} to {value:,}"
            for path, values in after.items() for what, value in values.items()
            if path in before and value > before[path][what] * most]


def check():
    kept = json.loads(KEPT.read_text())
    counted = count()
    if kept["compiler"] != compiler():
        print(f"counts.json is of {kept['compiler']}, and this is {compiler()}: nothing to compare with")
        return
    if kept["paths"].keys() != counted.keys():
        sys.exit("counts.json has other paths: count.py --update")
    if more := grown(kept["paths"], counted, GROWTH):
        sys.exit("grown by more than 5 %:\n" + "\n".join(more) + "\nIf it has to be: count.py --update")


def update():
    first, second = count(), count()
    if apart := grown(first, second, AGREEMENT) + grown(second, first, AGREEMENT):
        sys.exit("two counts differ:\n" + "\n".join(apart))
    KEPT.write_text(json.dumps({"compiler": compiler(), "paths": first}, indent=4) + "\n")


def profile(path):
    functions = Counter()
    for place, cost in once(build(), path).items():
        functions["cryptography" if is_cryptography(place) else place[1]] += cost
    whole = sum(functions.values())
    own = whole - functions.pop("cryptography", 0)
    print(f"{path}: {whole:,.0f}, {own:,.0f} of them {OWN}")
    for function, cost in functions.most_common(30):
        print(f"{cost:12,.0f} {cost / own:6.1%}  {function}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            count()
        case ["--check"]:
            check()
        case ["--update"]:
            update()
        case ["--profile", path] if path in PATHS:
            profile(path)
        case _:
            sys.exit(__doc__)
