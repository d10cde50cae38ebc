"""Holds the implementation in `python` against the test vectors, against SPEC.md's example, or against a live peer.

    verify.py vectors [DIR]          every *.json of the folder, by its schema.json and by what is in it
    verify.py example [SPEC.md]      Appendix B, byte by byte
    verify.py listen PORT --chunk N  a live conversation on 127.0.0.1; port 0: any
    verify.py dial PORT --chunk N    with --suites 3 it has AES as well
"""

import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "python"))
sys.dont_write_bytecode = True


def vectors(folder):
    from vectors import check_file
    contents = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    files = {name: content for name, content in contents.items() if "vectors" in content}  # not schema.json
    failed = not files
    if (folder / "schema.json").exists():
        failed |= not fits_schema(json.loads((folder / "schema.json").read_text()), files)
    bases = {v["id"]: v for content in files.values() if content["kind"] == "handshake" for v in content["vectors"]}
    for name, content in files.items():
        passed, total = check_file(content, bases, lambda id_, what: print(f"FAILED {id_}: {what}"))
        print(f"{name}: {passed} of {total}", flush=True)
        failed |= passed != total
    return 1 if failed else 0


def fits_schema(schema, files):
    from jsonschema import Draft202012Validator
    validator = Draft202012Validator(schema)
    faults = [(name, fault) for name, content in files.items() for fault in validator.iter_errors(content)]
    for name, fault in faults:
        print(f"{name} does not fit schema.json, at {'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}")
    return not faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["vectors", "example", "listen", "dial"])
    parser.add_argument("argument", nargs="?")
    parser.add_argument("--chunk", type=int, default=0, metavar="N", help="bytes per send and recv; 0: whole")
    parser.add_argument("--suites", type=int, choices=[1, 3], default=1, help="the bitmap of SPEC §3")
    args = parser.parse_args()
    if args.what == "vectors":
        return vectors(pathlib.Path(args.argument or HERE))
    if args.what == "example":
        from appendix_b import check
        return check(pathlib.Path(args.argument or HERE.parent.parent / "SPEC.md").read_text())
    if args.argument is None:
        parser.error("a port is needed")
    from live import run
    return run(args.what == "dial", int(args.argument), args.chunk, args.suites)


if __name__ == "__main__":
    sys.exit(main())
