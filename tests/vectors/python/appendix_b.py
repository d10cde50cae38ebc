"""Holds a Peer on each side against the worked example of SPEC.md, Appendix B: every byte."""

import re

from symbolon import identity
from symbolon.handshake import Limits
from symbolon.peer import Config, Peer
from symbolon.transport import REKEY_EVERY, Direction

I, R = "initiator", "responder"

# What the applications do: before which frame (counted from the first transport frame), and who.
ACTIONS = {
    1: [(I, "request", dict(method="echo", body=b"hello", deadline=5000))],
    2: [(R, "respond", dict(id_=2, status=0, body=b"hello"))],
    3: [(I, "request", dict(method="copy", body=b"two parts", more=True, chunks=True)),
        (I, "write", dict(id_=4, data=b"first"))],
    4: [(R, "respond", dict(id_=4, status=0, body=b"", more=True)), (R, "write", dict(id_=4, data=b"first"))],
    5: [(I, "write", dict(id_=4, data=b"last")), (I, "finish", dict(id_=4))],
    6: [(R, "write", dict(id_=4, data=b"last")), (R, "finish", dict(id_=4))],
    7: [(I, "request", dict(method="copy", body=b"", more=True)), (I, "write", dict(id_=6, data=b"first"))],
    8: [(R, "cancel", dict(id_=6, status=256))],
    10: [(R, "respond", dict(id_=6, status=0, body=b""))],
    11: [(I, "subscribe", dict(filter_="room/+", limit=1000))],
    12: [(R, "accept", dict(id_=8)),
         (R, "publish", dict(id_=8, topic="room/1", epoch=168496141, sequence=7, body=b"19", retained=True))],
    13: [(I, "cancel", dict(id_=8, status=1))],
    14: [(R, "end", dict(id_=8, status=1))],
    15: [(I, "tick", 15000)],  # half of its silence
    17: [(I, "close", dict(status=0))],
}


def parse(spec):
    """(names of B.1 and B.4 with their bytes, [(who, bytes)] of the preambles and frames in order)."""
    text = spec[spec.index("## Appendix B"):]
    text = re.sub(r"\n {20,}(?=[0-9a-f]+\n)", "", text)  # join lines that go on
    keys, sent, who = {}, [], None
    for line in text.splitlines():
        if match := re.match(r"(initiator|responder): (\w+), (\w+)\s+([0-9a-f]{64})$", line):
            keys[match[1], match[2], match[3]] = bytes.fromhex(match[4])
        elif match := re.match(r"(initiator|responder)\b.*?  ([0-9a-f]{16,64})$", line):
            keys[line[:len(line) - len(match[2])].strip()] = bytes.fromhex(match[2])
        elif match := re.match(r"message \d, (initiator|responder): frame\s+([0-9a-f]+)$", line):
            sent.append((match[1], bytes.fromhex(match[2])))
        elif match := re.match(r"  frame\s+([0-9a-f]+)$", line):
            sent.append((who, bytes.fromhex(match[1])))
        elif match := re.match(r"(initiator|responder), n = ", line):
            who = match[1]
    return keys, sent


def check(spec):
    """Exit code: 0 if every byte comes out again."""
    keys, sent = parse(spec)
    *sent, (_, after_rekey) = sent
    sent = [(I, keys[I]), sent[0], (R, keys[R]), *sent[1:]]
    limits = Limits(window=64)
    peers, clock, waiting = {}, {I: 0, R: 0}, {I: b"", R: b""}
    for who, other in ((I, R), (R, I)):
        secret = keys[who, "identity", "secret"]
        expect = identity.public_key(keys[other, "identity", "secret"])
        peers[who] = Peer(Config(who == I, secret, keys[who, "static", "private"], expect, limits),
                          keys[who, "ephemeral", "private"])
    for number, (who, wanted) in enumerate(sent):
        for actor, command, args in ACTIONS.get(number - 5, []):
            if command == "tick":
                clock[actor] = args
                peers[actor].tick(args)
            else:
                peers[actor].do(clock[actor], command, **args)
        waiting[who] += peers[who].output()
        if not waiting[who].startswith(wanted):
            print(f"FAILED: frame {number}: {waiting[who].hex()}\n  instead of {wanted.hex()}")
            return 1
        waiting[who] = waiting[who][len(wanted):]
        receiver = R if who == I else I
        peers[receiver].feed(clock[receiver], wanted)
    if any(waiting.values()) or not all(peer.closed for peer in peers.values()):
        print("FAILED: something is left")
        return 1
    return check_rekey(keys, after_rekey)


def check_rekey(keys, frame):
    """B.6"""
    direction = Direction(keys["initiator sends with"], n=REKEY_EVERY - 1)
    direction.seal(b"")
    sealed = direction.seal(bytes.fromhex("820302"))
    if direction.key != keys["initiator, from n = 65536"] or len(sealed).to_bytes(2, "big") + sealed != frame:
        print("FAILED: rekey")
        return 1
    print("Appendix B: every byte")
    return 0
