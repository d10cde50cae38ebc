#!/usr/bin/env python3
"""What the features of this package bring in, read from `cargo metadata`.

    features.py sets     each combination that differs from the others, one a line, as for --features
    features.py absent   fails where a build holds an optional library that none of its features asked for

Features are in one place, Cargo.toml; so neither the combinations nor the libraries are listed here.
"""

import itertools
import json
import subprocess
import sys

# Above this many combinations only those of one and two features, and all together.
TOO_MANY = 64


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def package():
    metadata = json.loads(cargo("metadata", "--no-deps", "--format-version", "1"))
    (found,) = metadata["packages"]
    return found


def closure(features, chosen):
    """What is on when these features are: themselves, and all that they ask for."""
    on, waiting = set(), list(chosen)
    while waiting:
        name = waiting.pop()
        if name not in on:
            on.add(name)
            waiting += features.get(name, [])
    return on


def sets(features):
    """The combinations in which no feature is there anyway, through another."""
    names = sorted(set(features) - {"default"})
    found = []
    for count in range(len(names) + 1):
        for chosen in itertools.combinations(names, count):
            others = [closure(features, set(chosen) - {name}) for name in chosen]
            if not any(name in other for name, other in zip(chosen, others)):
                found.append(chosen)
    if len(found) > TOO_MANY:
        found = [chosen for chosen in found if len(chosen) <= 2] + [tuple(names)]
    return found


def absent(package):
    features = package["features"]
    # By the name that features use, which `package = "…"` may have changed, and by the name of the package.
    optional = {
        dependency["rename"] or dependency["name"]: dependency["name"]
        for dependency in package["dependencies"]
        if dependency["optional"]
    }
    complaints = 0
    for chosen in sets(features):
        # What a library that was asked for brings in itself is its own affair.
        arguments = ["--depth", "1", "--edges", "normal", "--target", "all"]
        arguments += ["--no-default-features", "--features", ",".join(chosen)]
        built = {line.split()[0] for line in cargo("tree", "--prefix", "none", *arguments).splitlines() if line}
        # Only `dep:name` asks for a library.  `name/feature` brings it in as well, which is how it slips in where
        # `name?/feature` was meant.
        wanted = {name for name in optional if f"dep:{name}" in closure(features, chosen)}
        for name in sorted(set(optional) - wanted):
            if optional[name] in built:
                complaints += 1
                print(f"{name} is part of the build with the features [{', '.join(chosen)}], which do not ask for it:")
                print(cargo("tree", "--invert", optional[name], *arguments))
        print(f"[{', '.join(chosen)}]: asks for {', '.join(sorted(wanted)) or 'nothing'}")
    print(f"{len(optional)} optional libraries: {', '.join(sorted(optional))}")
    return complaints


def main():
    found = package()
    if sys.argv[1:] == ["sets"]:
        for chosen in sets(found["features"]):
            print(",".join(chosen))
    elif sys.argv[1:] == ["absent"]:
        sys.exit(1 if absent(found) else 0)
    else:
        sys.exit(__doc__)


main()
