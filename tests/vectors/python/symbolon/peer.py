"""A connection on a reliable byte stream (SPEC §3-§6), and what the application may do with it."""

from dataclasses import dataclass, field

from . import preamble
from .handshake import MAX_LENGTH, Handshake, HandshakeFailed, Limits, x25519_public
from .session import DECIDING, ENDED, Session, Timers
from .statuses import REFUSED, TIMED_OUT, VIOLATION, Refused
from .topics import Publication


@dataclass
class Config:
    initiator: bool
    identity: bytes            # Ed25519 secret
    static: bytes              # X25519 private
    expect: bytes = None       # the identity that is let in; None: the application is asked
    limits: Limits = field(default_factory=Limits)
    timers: Timers = field(default_factory=Timers)
    suites: int = 0x0001


class Commands:
    """What the application does, passed on to the running session.

    A subclass has `session` (or None) and `_enter(now)`, which sets the time and fires what is due.
    """

    def do(self, now, name, **args):
        """Runs a command of the session by its name; raises Refused where it cannot be done."""
        self._enter(now)
        if name in ("admit", "refuse"):
            return self._decide(name == "admit")
        if name == "close" and self._close_early(args["status"]):
            return None
        if self.session is None or self.session.state in (DECIDING, ENDED):
            raise Refused("not connected")
        if name == "publish":
            return self.session.publish(args.pop("id_"), Publication(**args))
        if name not in ("request", "write", "finish", "reset", "respond", "respond_busy", "cancel", "subscribe",
                        "accept", "tell_missed", "end", "goaway", "close", "hold", "take"):
            raise Refused("no such command")
        return getattr(self.session, name)(**args)


class Peer(Commands):
    """One side of one connection.

    `feed`, `eof`, `tick` and `do` take `now`; after each, `output()` gives the bytes to send, `events` (a list
    to be emptied by the caller) what the application is told, `closed` whether the stream is to be closed, and
    `next_timer()` when `tick` is due.  While the application decides about an `admission`, whatever is fed is kept:
    whoever calls should not read on until then.
    """

    def __init__(self, config, ephemeral, now=0):
        self.config, self.ephemeral, self.now = config, ephemeral, now
        self.events, self.closed = [], False
        self.out, self.buffer = bytearray(), bytearray()
        self.offered = self.handshake = self.session = None
        self.deciding = False             # (initiator) message 2 is through, the application is asked
        self.handshake_at = now + config.timers.handshake
        self.frame_at, self.frame_renewed = None, False
        if config.initiator:
            self.offered = preamble.offer(config.suites)
            self.out += self.offered
            self._send_frame(x25519_public(ephemeral))  # message 1 needs no cipher

    # --- In and out -------------------------------------------------------------------------------------------

    def feed(self, now, data):
        self._enter(now)
        if not self.closed:
            self.buffer += data
            self._read()

    def eof(self, now):
        self._enter(now)
        if not self.closed and self.session is not None:
            self.session.eof()
            self._look_at_session()
        elif not self.closed:
            self._drop("handshake")

    def tick(self, now):
        self._enter(now)

    def output(self):
        """All bytes that are to be sent now."""
        if self.session is not None:
            self.session.flush()
            self._look_at_session()
        data = bytes(self.out)
        self.out.clear()
        return data

    def next_timer(self):
        if self.closed:
            return None
        times = [self.handshake_at, self.frame_at, self.session.next_timer() if self.session else None]
        return min((t for t in times if t is not None), default=None)

    def _enter(self, now):
        """Sets the time, and fires what is due before anything else is looked at (TIM-3)."""
        self.now = now
        while not self.closed:
            due = self.next_timer()
            if due is None or due > now:
                break
            if due == self.handshake_at:
                self._handshake_too_late()
            elif due == self.frame_at:
                self._frame_too_late(now - due)
            if self.session is not None:
                self.session.now = now
                self.session.fire()
                self._look_at_session()
        if self.session is not None:
            self.session.now = now

    def _handshake_too_late(self):
        self.handshake_at = None
        if self.session is None:
            self._drop("handshake")
        else:
            self.session.end_with(REFUSED, "handshake")

    def _frame_too_late(self, late):
        """FRM-5, TIM-4."""
        self.frame_at = None
        if late > self.config.timers.frame / 2 and not self.frame_renewed:
            self.frame_renewed = True
            self.frame_at = self.now + self.config.timers.frame
        elif self.session is None:
            self._drop("handshake")
        else:
            self.session.end_with(TIMED_OUT, "timed_out")

    # --- Reading ----------------------------------------------------------------------------------------------

    def _read(self):
        """Takes preambles and frames from the buffer, as far as they are whole."""
        while not self.closed and not self._waits_for_decision():
            if self.handshake is None:
                if not self._read_preamble():
                    return
            elif not self._read_frame():
                return

    def _waits_for_decision(self):
        """ADM-3: until the application has decided, nothing that comes is looked at."""
        return self.deciding or (self.session is not None and self.session.state == DECIDING)

    def _read_preamble(self):
        magic = preamble.RESPONDER_MAGIC if self.config.initiator else preamble.INITIATOR_MAGIC
        if not magic.startswith(bytes(self.buffer[:4])):  # at the first byte that differs: PRE-2, PRE-3
            self._drop("handshake")
            return False
        if len(self.buffer) < preamble.LENGTH:
            return False
        theirs = bytes(self.buffer[:preamble.LENGTH])
        del self.buffer[:preamble.LENGTH]
        if self.config.initiator:
            try:
                code, suite = preamble.check_answer(theirs, self.config.suites)
            except preamble.BadPreamble:
                self._drop("handshake")
                return False
            prologue = self.offered + theirs
        else:
            ours, code, suite = preamble.answer(theirs, self.config.suites)
            self.out += ours  # PRE-7
            prologue = theirs + ours
        if code != preamble.ACCEPTED:
            self._drop("refused", code=code) if self.config.initiator else self._drop("handshake")  # PRE-4
            return False
        self.handshake = Handshake(self.config.initiator, self.config.identity, self.config.static, self.ephemeral,
                                   self.config.limits, prologue, suite)
        if self.config.initiator:
            self.handshake.write()  # message 1, which was sent already
        return True

    def _read_frame(self):
        if self.buffer and self.frame_at is None:
            self.frame_at = self.now + self.config.timers.frame
        if len(self.buffer) < 2:
            return False
        length = int.from_bytes(self.buffer[:2], "big")
        if self.session is None:
            if not 0 < length <= MAX_LENGTH:  # FRM-1
                self._drop("handshake")
                return False
        elif not 17 <= length <= self.config.limits.max_frame:  # FRM-3
            self.session.end_with(VIOLATION, "violation")
            self._look_at_session()
            return False
        if len(self.buffer) < 2 + length:
            return False
        frame = bytes(self.buffer[2:2 + length])
        del self.buffer[:2 + length]
        self.frame_at, self.frame_renewed = None, False
        if self.session is None:
            self._handshake_frame(frame)
        else:
            self.session.on_frame(frame)
            self._look_at_session()
        return True

    # --- Handshake --------------------------------------------------------------------------------------------

    def _handshake_frame(self, message):
        """SPEC §5.4, §6."""
        try:
            if not self.config.initiator and not self.handshake.message_1_read:
                self.handshake.read_message_1(message)
                self._send_frame(self.handshake.write())
                return
            self.handshake.read(message)
        except HandshakeFailed:
            return self._drop("handshake")
        if self.config.initiator:
            self.deciding = True
        else:
            self._begin_session()
        if self.config.expect is None:
            self.events.append({"event": "admission", "peer": self.handshake.peer_id})
        else:
            self._decide(self.handshake.peer_id == self.config.expect)

    def _decide(self, admitted):
        if self.closed or not self._waits_for_decision():
            raise Refused("nothing to decide")
        if self.config.initiator and not admitted:
            return self._drop("not_admitted")  # ADM-1
        if self.config.initiator:
            self.deciding = False
            self._send_frame(self.handshake.write())
            self._begin_session()
        elif admitted:
            self.session.admit()
        else:
            self.session.refuse()
        self._look_at_session()
        self._read()  # what came in the meantime

    def _close_early(self, status):
        """`close` before there are keys: there is nobody to tell."""
        if self.session is None and not self.closed:
            self._drop("local", status=status)
            return True
        return False

    def _begin_session(self):
        self.session = Session(self.handshake, self.config.limits, self.config.timers, self.events.append, self.now)

    # --- Endings ----------------------------------------------------------------------------------------------

    def _look_at_session(self):
        """Takes over what the session has sealed, and whether it has ended."""
        for frame in self.session.frames:
            self._send_frame(frame)
        self.session.frames.clear()
        if self.session.accepted:
            self.handshake_at = None
        if self.session.state == ENDED:
            self._closed()

    def _send_frame(self, message):
        self.out += len(message).to_bytes(2, "big") + message

    def _drop(self, reason, **more):
        self.events.append({"event": "closed", "reason": reason, **more})
        self._closed()

    def _closed(self):
        self.closed = True
        self.handshake_at = self.frame_at = None
        self.buffer.clear()
