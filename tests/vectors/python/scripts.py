"""Runs the script vectors (tests/vectors/README.md, "Scripts") against a Peer in this process.

The steps between two that hand something in are one block: what the subject has sent and told in it is compared
as a whole, messages and events each in their order.
"""

import cbor2

from adapter import Subject
from jsonform import fits, from_json, to_json
from symbolon import cbor, cobs
from symbolon.transport import Direction

HANDS_IN = ("in", "in_repeat", "eof", "at", "wakes", "do")
PONG, CREDIT, SUBSCRIBE, PADDING = 4, 11, 12, 20


class Failure(Exception):
    pass


def run_script(vector, setups, size):
    """Raises Failure.  `size`: bytes per feed, 0 for whole."""
    setup = setups[vector["setup"]] if isinstance(vector["setup"], str) else vector["setup"]
    Runner(setup, size).run(setup.get("steps", []) + vector["steps"])


class Runner:
    def __init__(self, setup, size):
        self.setup, self.size, self.now = setup, size, 0
        self.line = setup["binding"] == "line"
        self.subject = Subject(setup)
        keys = setup.get("keys") or []
        keys = keys if isinstance(keys, list) else [keys]
        self.sealers = [Direction(bytes.fromhex(k["in"]), k.get("suite", 0x0001)) for k in keys]
        self.openers = [Direction(bytes.fromhex(k["out"]), k.get("suite", 0x0001)) for k in keys]
        self.fed = bytearray()            # all that the subject was given
        self.raw, self.events, self.next, self.closed = bytearray(), [], None, False
        self.granted = {}
        self.parts = {}                   # id: a publication that was begun
        self.limits, self.spent = {}, {}  # by exchange: the peer's credit, and what the subject spent of it
        self.collect()

    # --- The subject ------------------------------------------------------------------------------------------

    def collect(self):
        result = self.subject.result()
        self.raw += bytes.fromhex(result["out"])
        self.events += result["events"]
        self.next, self.closed = result.get("next"), result["closed"]

    def feed(self, data):
        self.fed += data
        size = self.size or max(len(data), 1)
        for at in range(0, len(data), size):
            self.subject.feed(self.now, data[at:at + size])
            self.collect()

    def hand_in(self, step):
        for m in step.get("messages", []):
            if m[0] in (CREDIT, SUBSCRIBE):
                self.limits[m[1]] = max(self.limits.get(m[1], 0), from_json(m[2]))
        if "in" in step:
            self.feed(bytes.fromhex(step["in"]))
        elif "in_repeat" in step:
            sealer = self._sealer_now()
            plaintext = b"".join(cbor.encode(from_json(m)) for m in step["messages"])
            for _ in range(step["in_repeat"]):
                ciphertext = sealer.seal(plaintext)
                self.feed(len(ciphertext).to_bytes(2, "big") + ciphertext)
        elif "eof" in step:
            self.subject.peer.eof(self.now)
        elif "at" in step:
            while self.next is not None and self.next <= step["at"]:
                self.now = max(self.now, self.next)
                self.subject.peer.tick(self.now)
                self.collect()
            self.now = step["at"]
            self.subject.peer.tick(self.now)
        elif "wakes" in step:  # as "at", but the subject was away: nothing fired in between
            self.now = step["wakes"]
            self.subject.peer.tick(self.now)
        else:
            done = self.subject.do(self.now, step)
            if done == bool(step.get("refused")):
                raise Failure(f"command {step['do']}: done = {done}")
        self.collect()

    def _sealer_now(self):
        """The peer's key, at the nonce behind the frames that the subject was given already."""
        at, frames = 8, 0
        while at < len(self.fed):
            at += 2 + int.from_bytes(self.fed[at:at + 2], "big")
            frames += 1
        sealer = self.sealers[0]
        handshake_frames = 1 if self.setup["role"] == "initiator" else 2
        while sealer.n < frames - handshake_frames:
            sealer._advance()
        return sealer

    # --- Blocks -----------------------------------------------------------------------------------------------

    def run(self, steps):
        expected = []
        for number, step in enumerate(steps):
            try:
                if any(key in step for key in HANDS_IN):
                    self.compare(expected)
                    expected = []
                    self.hand_in(step)
                else:
                    expected.append(step)
            except Failure as failure:
                raise Failure(f"before step {number}, {str(step)[:100]}: {failure}") from None
        self.compare(expected)

    def compare(self, expected):
        if self.line:
            said = self.take_packets([step for step in expected if "out" in step])
        else:
            for step in expected:
                if "out" in step:
                    self.take_out(bytes.fromhex(step["out"]))
            said = self.take_frames()
        self.compare_messages([step for step in expected if "says" in step or "may_say" in step], self.join(said))
        for step in expected:
            if "credit" in step and self.granted.get(step["credit"][0], 0) < step["credit"][1]:
                raise Failure(f"credit {self.granted}")
        self.compare_events([step for step in expected if "event" in step or "may_tell" in step])
        if any("closed" in step for step in expected) and not self.closed:
            raise Failure("not closed")
        if self.closed and not any("closed" in step or step.get("event") == "closed" for step in expected):
            if not self.line and not getattr(self, "was_closed", False):
                raise Failure("closed unasked")
        self.was_closed = self.closed

    def take_out(self, wanted):
        if not self.raw.startswith(wanted):
            raise Failure(f"out {self.raw.hex()} instead of {wanted.hex()}")
        del self.raw[:len(wanted)]

    def take_frames(self):
        """The messages of all transport frames that were sent: [session, message in JSON form]."""
        said = []
        while self.raw:
            length = int.from_bytes(self.raw[:2], "big")
            if length > self.setup["peer"]["max_frame"]:
                raise Failure("FRM-2")
            plaintext = self.openers[0].open(bytes(self.raw[2:2 + length])) if self.openers else None
            if plaintext is None:
                raise Failure(f"unasked bytes {self.raw.hex()}")
            del self.raw[:2 + length]
            said += [[None, m] for m in split(plaintext)]
        return said

    def take_packets(self, outs):
        """On a line: packets that were asked for in clear, in their order; all others have to be frames."""
        said, clear = [], b""
        decoder = cobs.Decoder(70000)
        for packet in decoder.feed(bytes(self.raw)):
            for session, opener in enumerate(self.openers):
                plaintext = opener.open(packet[2:])
                if plaintext is not None:
                    said += [[session, m] for m in split(plaintext)]
                    break
            else:
                clear += packet
        self.raw.clear()
        wanted = b"".join(bytes.fromhex(step["out"]) for step in outs)
        if clear != wanted:
            raise Failure(f"out {clear.hex()} instead of {wanted.hex()}")
        return said

    def join(self, said):
        """Notes credit, and joins the parts of a publication and data that follow each other."""
        result = []
        for session, m in said:
            if m[0] == CREDIT:
                limit = m[2] if isinstance(m[2], int) else int(m[2]["uint"])
                self.granted[m[1]] = max(self.granted.get(m[1], 0), limit)
            if m[0] in (9, 13, 14):
                self.spent[m[1]] = self.spent.get(m[1], 0) + len(cbor.encode(from_json(m)))
                limit = self.limits.get(m[1], 0)
                if self.spent[m[1]] > (max(limit, self.setup["peer"]["window"]) if m[0] == 9 else limit):
                    raise Failure("CRD-2")
            if m[0] == 13 and m[3] & 1:
                m = m[:3] + [m[3] & ~1] + m[4:8]
                self.parts[m[1]] = m
            elif m[0] == PONG and result and result[-1][1][0] == PONG and result[-1][0] == session:
                result[-1][1] = m  # MSG-2: only the last counts
            elif m[0] == 14:
                whole = self.parts[m[1]]
                whole[7] = {"hex": whole[7]["hex"] + m[3]["hex"]}
                if not m[2]:
                    result.append([session, self.parts.pop(m[1])])
            else:
                result.append([session, m])
        return join_data(result)

    def compare_messages(self, steps, said):
        """`said` has to be what the steps say; `may_say` need not come, credit and padding may."""
        said = list(said)
        for step in steps:
            session, optional = step.get("session"), "may_say" in step
            wanted = [m for _, m in join_data([[session, m] for m in step.get("says") or step["may_say"]])]
            while wanted:
                message = wanted[0]
                if said and step.get("any_order"):
                    message = next((m for m in wanted if fits(m, said[0][1])), message)
                if said and fits(message, said[0][1]) and session in (None, said[0][0]):
                    said.pop(0)
                    wanted.remove(message)
                elif said and said[0][1][0] in (CREDIT, PADDING):
                    said.pop(0)
                elif optional:
                    break
                else:
                    raise Failure(f"says {said[:3]} instead of {message}")
        left = [m for m in said if m[1][0] not in (CREDIT, PADDING)]
        if left:
            raise Failure(f"says unasked {left[:3]}")

    def compare_events(self, steps):
        told, self.events = join_events(self.events), []
        wanted = join_events([step for step in steps if "event" in step])
        optional = [event for step in steps for event in step.get("may_tell", [])]
        for want in wanted:
            while told and not agrees(want, told[0]) and any(agrees(event, told[0]) for event in optional):
                told.pop(0)
            if not told or not agrees(want, told[0]):
                raise Failure(f"event {told[:2]} instead of {want}")
            told.pop(0)
        told = [event for event in told if not any(agrees(may, event) for may in optional)]
        if told:
            raise Failure(f"events {told} unasked")


def agrees(want, event):
    return all(fits(value, event.get(key)) for key, value in want.items())


def split(plaintext):
    messages, at = [], 0
    while at < len(plaintext):
        end = cbor.check(plaintext, at)
        messages.append(to_json(cbor2.loads(plaintext[at:end])))
        at = end
    return messages


def join_data(said):
    result = []
    for session, m in said:
        last = result[-1] if result else None
        if m[0] == 9 and last and last[0] == session and last[1][:2] == m[:2]:
            last[1] = [9, m[1], {"hex": last[1][2]["hex"] + m[2]["hex"]}]
        else:
            result.append([session, m])
    return result


def join_events(events):
    result = []
    for event in events:
        last = result[-1] if result else {}
        if event["event"] == "data" == last.get("event") and event["id"] == last["id"]:
            result[-1] = {**last, "bytes": last["bytes"] + event["bytes"]}
        else:
            result.append(event)
    return result
