"""A live conversation over TCP on 127.0.0.1, in either role: both sides do the same work at once.

This is the only file that reads a clock, a socket and randomness.
"""

import os
import selectors
import socket
import time

from symbolon import description, identity, names
from symbolon.handshake import Limits
from symbolon.peer import Config, Peer
from symbolon.preamble import SUITES
from symbolon.statuses import BAD_REQUEST, CANCELLED, NOT_FOUND, OK

LISTENER, DIALLER = bytes([0x4C]) * 32, bytes([0x44]) * 32
LIMITS = Limits(max_frame=16640, max_requests=64, max_subscriptions=16, window=65536, silence=30000)
GIVE_UP = 60  # seconds
BURST = 1000  # at most so many sends, or recvs, before anything else is looked at
LONG = bytes(i % 251 for i in range(100000))
# What both sides offer; only the texts and the name are each one's own.
OFFERED = {
    "methods": [{"name": "copy", "chunks": 3}, {"name": "done", "chunks": 0}, {"name": "echo", "chunks": 0},
                {"name": "publish", "chunks": 0}],
    "topics": [{"name": "count/a", "kind": description.EVENT}, {"name": "count/long", "kind": description.EVENT}],
}
COPIED = bytes(i * 7 % 256 for i in range(200000))


class Wrong(Exception):
    """The other side did not do what it has to."""


def ensure(condition, what):
    if not condition:
        raise Wrong(what)


class Server:
    """Serves echo, copy, publish, done, and tells that it does; accepts every subscription."""

    def __init__(self, peer):
        self.peer, self.now = peer, 0
        self.copies, self.subscriptions = set(), {}
        self.sequences = {"count/a": 0, "count/long": 0}
        self.done_served = False

    def do(self, name, **args):
        self.peer.do(self.now, name, **args)

    def on_request(self, e):
        id_, method = e["id"], e["method"]
        if method == "copy" and e["more"]:
            self.copies.add(id_)
            self.do("respond", id_=id_, status=OK, body=b"", more=True)
        elif method == description.METHOD:
            wrong = e["more"] or e["body"]  # DSC-1
            told = b"" if wrong else description.encode({"name": "Python", **OFFERED})
            self.do("respond", id_=id_, status=BAD_REQUEST if wrong else OK, body=told)
        elif method == "echo":
            self.do("respond", id_=id_, status=OK, body=e["body"])
        elif method == "publish":
            for i in range(int(e["body"])):
                self.publish("count/a", str(i).encode())
            self.publish("count/long", LONG)
            self.do("respond", id_=id_, status=OK, body=b"")
        elif method == "done":
            self.do("respond", id_=id_, status=OK, body=b"")
            self.done_served = True
        else:
            self.do("respond", id_=id_, status=NOT_FOUND, body=b"")

    def publish(self, topic, body):
        sequence = self.sequences[topic]
        self.sequences[topic] += 1
        for id_, filter_ in self.subscriptions.items():
            if names.matches(filter_, topic):
                self.do("publish", id_=id_, topic=topic, epoch=1, sequence=sequence, body=body)

    def on_data(self, e):
        """What is copied back and has no credit yet is not taken: the sender waits as well."""
        self.do("hold", id_=e["id"])
        self.do("write", id_=e["id"], data=e["bytes"])

    def on_end(self, e):
        self.copies.discard(e["id"])
        self.do("finish", id_=e["id"])

    def take_what_left(self):
        for id_ in self.copies:
            exchange = self.peer.session.exchanges.get(id_)
            if exchange is not None and not exchange.send.pending:
                self.do("take", id_=id_)

    def on_subscribe(self, e):
        self.subscriptions[e["id"]] = e["filter"]
        self.do("accept", id_=e["id"])

    def on_unsubscribe(self, e):
        del self.subscriptions[e["id"]]
        self.do("end", id_=e["id"], status=CANCELLED)


class Client:
    """Calls the other side, one thing after the other: a generator that yields until the next event about it."""

    def __init__(self, peer):
        self.peer, self.now = peer, 0
        self.ids = set()                # of its own exchanges
        self.event = None
        self.finished = False
        self.unsubscribing = None
        self.steps = self.work()

    def open(self, name, **args):
        id_ = self.peer.do(self.now, name, **args)
        self.ids.add(id_)
        return id_

    def start(self):
        next(self.steps)

    def on_event(self, event):
        self.event = event
        next(self.steps, None)

    def call(self, method, body=b""):
        id_ = self.open("request", method=method, body=body)
        yield
        ensure(self.event["event"] == "response" and self.event["id"] == id_ and not self.event["more"],
               f"{method}: {self.event}")
        return self.event["status"], self.event["body"]

    def work(self):
        for n in range(0, 2000, 100):
            body = bytes(i % 256 for i in range(n))
            ensure((yield from self.call("echo", body)) == (OK, body), f"echo of {n} bytes")
        ensure((yield from self.call("nothing"))[0] == NOT_FOUND, "nothing")
        yield from self.description()
        yield from self.copy()
        yield from self.subscription()
        ensure((yield from self.call("done"))[0] == OK, "done")
        self.finished = True

    def description(self):
        status, told = yield from self.call(description.METHOD)
        ensure(status == OK, f"description: {status}")
        fields = description.decode(told)
        ensure(fields.pop("name") == "Rust" and fields == OFFERED, f"description: {fields}")
        ensure((yield from self.call(description.METHOD, b"x"))[0] == BAD_REQUEST, "a body where there is none")

    def copy(self):
        id_ = self.open("request", method="copy", body=b"", more=True, chunks=True)
        self.peer.do(self.now, "write", id_=id_, data=COPIED)
        self.peer.do(self.now, "finish", id_=id_)
        yield
        ensure(self.event["event"] == "response" and self.event["status"] == OK and self.event["more"],
               f"copy: {self.event}")
        copied = bytearray()
        while True:
            yield
            if self.event["event"] != "data":
                break
            copied += self.event["bytes"]
        ensure(self.event["event"] == "end" and self.event["status"] == OK, f"copy: {self.event}")
        ensure(copied == COPIED, "what was copied differs")

    def subscription(self):
        id_ = self.open("subscribe", filter_="count/#", limit=65536, largest=200000)
        yield
        ensure(self.event["event"] == "subscribed", f"{self.event}")
        call = self.open("request", method="publish", body=b"10")
        got, answered = {"count/a": [], "count/long": []}, False
        while not answered or sum(len(bodies) for bodies in got.values()) < 11:
            yield
            if self.event["event"] == "response" and self.event["id"] == call:
                ensure(self.event["status"] == OK and self.event["body"] == b"", f"publish: {self.event}")
                answered = True
                continue
            ensure(self.event["event"] == "publication", f"subscription: {self.event}")
            ensure(not self.event["missed"] and not self.event["unknown"], "missed")
            ensure(self.event["sequence"] == len(got[self.event["topic"]]), "sequence")
            got[self.event["topic"]].append(self.event["body"])
        ensure(got == {"count/a": [str(i).encode() for i in range(10)], "count/long": [LONG]}, "publications")
        exchange = self.peer.session.exchanges[id_]
        self.peer.do(self.now, "cancel", id_=id_, status=CANCELLED)
        while exchange.back_open:  # no event tells of the `end` of what was given up: see Conversation.step
            self.unsubscribing = exchange
            yield
        self.unsubscribing = None
        ensure(exchange.end_status == CANCELLED, f"unsubscribed: {exchange.end_status}")


class Conversation:
    def __init__(self, dials, connection, chunk, suites):
        self.dials, self.connection, self.chunk = dials, connection, chunk
        own, other = (DIALLER, LISTENER) if dials else (LISTENER, DIALLER)
        config = Config(dials, own, os.urandom(32), identity.public_key(other), LIMITS, suites=suites)
        self.began = time.monotonic()
        self.peer = Peer(config, os.urandom(32), 0)
        self.server, self.client = Server(self.peer), Client(self.peer)
        self.out = bytearray()
        self.ending = self.closing = False

    def now(self):
        return int((time.monotonic() - self.began) * 1000)

    def run(self):
        """Returns when the connection has closed in order; raises Wrong."""
        self.connection.setblocking(False)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            while True:
                self.step()
                if self.peer.closed and not self.out:
                    break
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0)
                selector.modify(self.connection, wanted)
                due = self.peer.next_timer()
                wait = 0.5 if due is None else min(0.5, max(0, due - self.now()) / 1000)
                for _, ready in selector.select(wait):
                    if ready & selectors.EVENT_WRITE:
                        self.write()
                    if ready & selectors.EVENT_READ:
                        self.read()
                self.peer.tick(self.now())
                ensure(time.monotonic() - self.began < GIVE_UP, "not done in time")
        self.linger()
        ensure(self.client.finished, "closed before the client's work was done")
        ensure(self.server.done_served, "closed before the other side was done")

    def step(self):
        """Hands events to the server and the client until nothing comes of it any more."""
        while True:
            self.out += self.peer.output()
            if self.peer.session is not None and not self.peer.closed:
                self.server.now = self.client.now = self.now()
                self.server.take_what_left()
                if self.client.unsubscribing and not self.client.unsubscribing.back_open:
                    self.client.on_event(None)
                self.out += self.peer.output()
            if not self.peer.events:
                break
            while self.peer.events:
                self.on_event(self.peer.events.pop(0))
        if self.dials and self.client.finished and self.server.done_served and not self.closing:
            self.closing = True
            self.peer.do(self.now(), "close", status=OK)
            self.out += self.peer.output()

    def on_event(self, event):
        self.server.now = self.client.now = self.now()
        name = event["event"]
        if name == "connected":
            self.client.start()
        elif name == "closed":
            ensure(event["reason"] == ("local" if self.dials else "remote") and event.get("status") == OK,
                   f"closed: {event}")
        elif event.get("id") in self.client.ids:
            self.client.on_event(event)
        elif event.get("id") is not None:
            getattr(self.server, "on_" + name)(event)

    def write(self):
        for _ in range(BURST):
            part = self.out[:self.chunk] if self.chunk else self.out
            try:
                sent = self.connection.send(part)
            except BlockingIOError:
                return
            except OSError:
                sent = len(self.out)  # nobody reads any more; what has arrived is still to be read
            del self.out[:sent]
            if not self.out:
                return

    def read(self):
        for _ in range(BURST):
            try:
                data = self.connection.recv(self.chunk or 65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                return self.peer.eof(self.now())
            self.peer.feed(self.now(), data)

    def linger(self):
        """SPEC §16.3: close the sending direction, read and discard for a short time."""
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.setblocking(True)
            self.connection.settimeout(1)
            while self.connection.recv(65536):
                pass
        except OSError:
            pass


def connect(dials, port):
    if dials:
        return socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP)
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"listening on {listener.getsockname()[1]}", flush=True)
        listener.settimeout(GIVE_UP)
        return listener.accept()[0]


def run(dials, port, chunk, suites):
    """Exit code: 0 if all was right."""
    try:
        with connect(dials, port) as connection:
            conversation = Conversation(dials, connection, chunk, suites)
            conversation.run()
    except (Wrong, OSError) as error:
        print(f"FAILED: {error}", flush=True)
        return 1
    print(f"all right, by {SUITES[conversation.peer.handshake.suite].decode()}", flush=True)
    return 0
