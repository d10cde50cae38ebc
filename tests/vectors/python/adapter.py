"""The adapter protocol of tests/vectors/README.md: one JSON object a line in, one a line out.  It reads no clock."""

import json
import sys

from symbolon.handshake import Limits
from symbolon.line import Line
from symbolon.peer import Config, Peer
from symbolon.session import Timers
from symbolon.statuses import Refused

HELLO = {"name": "symbolon-python", "version": "1", "bindings": ["stream", "line"]}

# The names of the vocabulary, and for each field what the Peer calls it, and what it is where it is missing.
BYTES = object()
COMMANDS = {
    "admit": ("admit", {}),
    "refuse": ("refuse", {}),
    "request": ("request", {"method": ("method", None), "body": ("body", BYTES), "deadline": ("deadline", 0),
                            "more": ("more", False), "chunks": ("chunks", False)}),
    "write": ("write", {"id": ("id_", None), "bytes": ("data", BYTES)}),
    "finish": ("finish", {"id": ("id_", None)}),
    "reset": ("reset", {"id": ("id_", None), "status": ("status", 0)}),
    "respond": ("respond", {"id": ("id_", None), "status": ("status", 0), "body": ("body", BYTES)}),
    "respond_more": ("respond", {"id": ("id_", None), "status": ("status", 0), "body": ("body", BYTES)}),
    "busy": ("respond_busy", {"id": ("id_", None), "retry": ("retry", 0)}),
    "cancel": ("cancel", {"id": ("id_", None), "status": ("status", 0)}),
    "accept": ("accept", {"id": ("id_", None)}),
    "subscribe": ("subscribe", {"filter": ("filter_", None), "limit": ("limit", 0), "largest": ("largest", 0)}),
    "publish": ("publish", {"id": ("id_", None), "topic": ("topic", None), "epoch": ("epoch", 0),
                            "sequence": ("sequence", 0), "missed": ("missed", 0), "unknown": ("unknown", False),
                            "retained": ("retained", False), "body": ("body", BYTES)}),
    "missed": ("tell_missed", {"id": ("id_", None), "count": ("count", 0), "unknown": ("unknown", False)}),
    "end": ("end", {"id": ("id_", None), "status": ("status", 0)}),
    "goaway": ("goaway", {}),
    "close": ("close", {"status": ("status", 0)}),
    "hold": ("hold", {}),
    "take": ("take", {}),
}


def translate(step):
    """The Peer's command and arguments for a `do`."""
    name, fields = COMMANDS[step["do"]]
    args = {}
    for field, (theirs, default) in fields.items():
        value = step.get(field, "" if default is BYTES else default)
        args[theirs] = bytes.fromhex(value) if default is BYTES else value
    if step["do"] == "respond_more":
        args["more"] = True
    if step["do"] == "subscribe" and step.get("epoch") is not None:
        args["resume"] = (step["epoch"], step["sequence"])
    return name, args


class Subject:
    """One Peer, by the names of tests/vectors/README.md."""

    def __init__(self, setup, now=0):
        limits = Limits(*(setup[name] for name in ("max_frame", "max_requests", "max_subscriptions", "window",
                                                    "silence")))
        expect = bytes.fromhex(setup["expect"]) if setup.get("expect") else None
        config = Config(setup["role"] == "initiator", bytes.fromhex(setup["identity"]),
                        bytes.fromhex(setup["static"]), expect, limits, Timers(**setup["timers"]),
                        setup.get("suites", 0x0001))
        if setup["binding"] == "line":
            self.peer = Line(config, [bytes.fromhex(e) for e in setup["ephemeral"]], now)
        else:
            self.peer = Peer(config, bytes.fromhex(setup["ephemeral"]), now)

    def feed(self, now, data):
        self.peer.feed(now, data)

    def do(self, now, step):
        """False where the command was refused."""
        try:
            name, args = translate(step)
            self.peer.do(now, name, **args)
        except Refused:
            return False
        return True

    def result(self):
        """What came of it."""
        out = self.peer.output()
        events = [{k: v.hex() if isinstance(v, bytes) else v for k, v in event.items()}
                  for event in self.peer.events]
        self.peer.events.clear()
        result = {"out": out.hex(), "events": events, "closed": self.peer.closed}
        if self.peer.next_timer() is not None:
            result["next"] = self.peer.next_timer()
        return result


def handle(subject, command):
    """Answers one command: (subject, answer)."""
    what, now, refused = command["cmd"], command.get("now", 0), False
    if what == "hello":
        return subject, HELLO
    if what == "open":
        subject = Subject(command, now)
    elif what == "feed":
        subject.feed(now, bytes.fromhex(command["bytes"]))
    elif what == "eof":
        subject.peer.eof(now)
    elif what == "tick":
        subject.peer.tick(now)
    elif what == "do":
        if command["do"] not in COMMANDS:
            return subject, {"unsupported": command["do"]}
        refused = not subject.do(now, command)
    else:
        return subject, {"unsupported": what}
    result = subject.result()
    if refused:
        result["refused"] = True
    return subject, result


def main():
    subject = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["cmd"] == "quit":
            return
        subject, answer = handle(subject, command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
