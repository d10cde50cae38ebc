"""Sessions on a serial line (SPEC §19): one that runs at most, and one candidate at most."""

from . import cobs, preamble
from .handshake import Handshake, HandshakeFailed, OwnIdentity
from .peer import Commands
from .session import DECIDING, ENDED, Session
from .statuses import LOST, REFUSED, Refused
from .transport import REKEY_EVERY

LOOK_AHEAD = 16        # frames that may have been lost, SER-4
MAX_FAILURES = 16      # handshake frames, SER-11
MAX_OFFERS = 20        # in a second
FIRST_WAIT, LONGEST_WAIT = 1000, 8000
MESSAGE_LENGTHS = {1: (32, 32), 2: (213, 512), 3: (181, 512)}  # SER-9


class Candidate:
    """A session that was not accepted yet."""

    def __init__(self, line, initiator, ephemeral, offer, answer=None, suite=None):
        self.line, self.initiator, self.ephemeral = line, initiator, ephemeral
        self.offer, self.answer, self.suite = offer, answer, suite
        self.message_1 = None
        self.handshake = None
        self.deciding = False      # (initiator) message 2 is through, the application is asked
        self.session = None        # once there are keys
        self.failures = 0
        self.handshake_at = line.now + line.config.timers.handshake
        if initiator:
            # Message 1 is the same whatever comes back: any answer will do to make it.
            self.message_1 = self._make(offer, preamble.RESPONDER_MAGIC + offer[4:], 0x0001).write()
        else:
            self.handshake = self._make(offer, answer, suite)

    def _make(self, offer, answer, suite):
        config = self.line.config
        return Handshake(self.initiator, config.identity, config.static, self.ephemeral, config.limits,
                         offer + answer, suite)

    def make_anew(self):
        """SER-10: the state before the frame that failed; the same input makes the same messages."""
        self.handshake = self._make(self.offer, self.answer, self.suite)
        if self.initiator:
            self.handshake.write()
        elif self.message_1 is not None:
            self.handshake.read_message_1(self.message_1)
            self.handshake.write()

    def awaited(self):
        """Which handshake message is awaited; None: none, or a preamble first."""
        if self.handshake is None or self.deciding or self.session is not None:
            return None
        if self.initiator:
            return 2
        return 1 if self.message_1 is None else 3

    def has_message_2(self):
        """(initiator) From then on it counts as having taken message 2."""
        return self.deciding or self.session is not None


class Line(Commands):
    """One side of a serial line.  As `Peer`, but `closed` says that there is no session left.

    `ephemerals` is a list of keys, one for each session that it begins; without one it begins none.
    """

    def __init__(self, config, ephemerals, now=0):
        self.config, self.ephemerals, self.now = config, list(ephemerals), now
        self.events, self.out = [], bytearray()
        self.running = self.candidate = self.kept_offer = None
        self.decoder = cobs.Decoder(0)
        self.offers = []                  # when the last ones were answered
        self.dials, self.tries = config.initiator, 0
        self.last_dial = self.last_took = now
        self._size_packets()
        if self.dials:
            self._dial()

    @property
    def session(self):
        """What the application's commands go to."""
        return self.running or (self.candidate.session if self.candidate else None)

    @property
    def closed(self):
        return self.running is None and self.candidate is None

    # --- In and out -------------------------------------------------------------------------------------------

    def feed(self, now, data):
        self._enter(now)
        for byte in data:  # one by one: a packet may change how long the next one may be
            for packet in self.decoder.feed(bytes([byte])):
                self._on_packet(packet)
                self._look()

    def eof(self, now):
        self._enter(now)
        self.dials, self.candidate = False, None
        if self.running is not None:
            self.running.eof()
        self._look()

    def tick(self, now):
        self._enter(now)

    def output(self):
        for session in (self.running, self.candidate and self.candidate.session):
            if session is not None:
                session.flush()
        self._look()
        data = bytes(self.out)
        self.out.clear()
        return data

    def next_timer(self):
        times = [self._dial_at()]
        if self.candidate is not None:
            times.append(self.candidate.handshake_at)
        times += [session.next_timer() for session in self._sessions()]
        return min((t for t in times if t is not None), default=None)

    def _sessions(self):
        return [s for s in (self.running, self.candidate and self.candidate.session) if s is not None]

    def _enter(self, now):
        self.now = now
        while (due := self.next_timer()) is not None and due <= now:
            for session in self._sessions():
                session.now = now
                session.fire()
            self._look()
            if self.candidate is not None and self.candidate.handshake_at <= now:
                self._handshake_too_late()
            dial_at = self._dial_at()
            if dial_at is not None and dial_at <= now:
                self._dial()
        for session in self._sessions():
            session.now = now

    def _send(self, packet):
        self.out += b"\0" + cobs.encode(packet)  # the first zero ends whatever noise there was

    def _send_frame(self, message):
        self._send(len(message).to_bytes(2, "big") + message)

    def _look(self):
        """Takes over what the sessions have sealed, and whether they have ended."""
        for session in self._sessions():
            for frame in session.frames:
                self._send_frame(frame)
            session.frames.clear()
        if self.running is not None and self.running.state == ENDED:
            self.running = None
        if self.candidate is not None and self.candidate.session is not None:
            if self.candidate.session.state == ENDED:
                self.candidate = None
        self._size_packets()

    def _size_packets(self):
        """SER-8."""
        self.decoder.max = 514 if not self._sessions() else 2 + max(512, self.config.limits.max_frame)

    # --- Packets (§19.2) --------------------------------------------------------------------------------------

    def _on_packet(self, packet):
        if len(packet) == preamble.LENGTH and packet.startswith(preamble.INITIATOR_MAGIC):
            self._on_offer(packet)
        elif len(packet) == preamble.LENGTH and packet.startswith(preamble.RESPONDER_MAGIC):
            self._on_answer(packet)
        elif len(packet) >= 2 + 17:
            self._on_frame(packet[2:])

    def _on_answer(self, answer):
        candidate = self.candidate
        if candidate is None or not candidate.initiator or candidate.has_message_2():
            return
        try:
            code, suite = preamble.check_answer(answer, self.config.suites)
        except preamble.BadPreamble:
            return  # SER-10
        if code != preamble.ACCEPTED:
            self.candidate = None  # the next try waits as after no answer
            return
        self.last_took = self.now
        candidate.answer, candidate.suite = answer, suite
        candidate.make_anew()

    def _on_frame(self, frame):
        """The running session first (SER-3), then the candidate, then a message 1 behind an offer that is kept."""
        if self.running is not None and self._open(self.running, frame):
            return
        candidate = self.candidate
        if candidate is not None and self._candidate_takes(candidate, frame):
            self.last_took = self.now
            self.kept_offer = None
        elif self.kept_offer is not None and len(frame) == MESSAGE_LENGTHS[1][0]:
            self._on_collision(frame)

    def _open(self, session, frame):
        """Whether the session opens the frame, with its counter or, frames having been lost, a later one."""
        plaintext = session.opener.open(frame)
        if plaintext is not None:
            session.on_plaintext(plaintext)
            return True
        n = session.opener.n
        for ahead in range(1, LOOK_AHEAD + 1):
            if (n + ahead) // REKEY_EVERY != n // REKEY_EVERY:
                return False
            if session.opener.peek(frame, ahead) is not None:
                session.end_with(LOST, "lost")  # SER-4
                return True
        return False

    def _candidate_takes(self, candidate, frame):
        session = candidate.session
        if session is not None:
            if session.state == DECIDING or not self._open(session, frame):
                return False
            if session.reason is not None and session.reason["reason"] == "lost" and self.running is not None:
                self.running.end_silently("lost")  # the other side has dropped it
            return True
        number = candidate.awaited()
        if number is None or not MESSAGE_LENGTHS[number][0] <= len(frame) <= MESSAGE_LENGTHS[number][1]:
            return False
        try:
            self._handshake_frame(candidate, number, frame)
        except OwnIdentity:
            self.candidate = None
        except HandshakeFailed:
            candidate.failures += 1
            if candidate.failures >= MAX_FAILURES:
                self.candidate = None
                return False
            candidate.make_anew()
            return False
        return True

    # --- Handshakes -------------------------------------------------------------------------------------------

    def _handshake_frame(self, candidate, number, frame):
        if number == 1:
            candidate.handshake.read_message_1(frame)
            message_2 = candidate.handshake.write()
            candidate.message_1 = frame
            self._send_frame(message_2)
            return
        candidate.handshake.read(frame)
        if number == 2:
            candidate.deciding = True
        else:
            self._begin_session(candidate)
        peer_id = candidate.handshake.peer_id
        if self.config.expect is None:
            self.events.append({"event": "admission", "peer": peer_id})
        else:
            self._decide(peer_id == self.config.expect)

    def _decide(self, admitted):
        candidate = self.candidate
        waits = candidate is not None and (candidate.deciding or (candidate.session is not None
                                                                  and candidate.session.state == DECIDING))
        if not waits:
            raise Refused("nothing to decide")
        if candidate.initiator and not admitted:
            self.candidate = None
        elif candidate.initiator:
            message_3 = candidate.handshake.write()
            candidate.deciding = False
            self._send_frame(message_3)
            self._begin_session(candidate)
        elif admitted:
            candidate.session.admit()
        else:
            candidate.session.refuse()
        self._look()

    def _begin_session(self, candidate):
        session = Session(candidate.handshake, self.config.limits, self.config.timers,
                          lambda event: self._tell(session, event), self.now, early=False)
        candidate.session = session

    def _tell(self, session, event):
        """SER-13: a candidate that is accepted replaces the session that ran.  Of others no end is told."""
        if event["event"] == "connected":
            if self.running is not None:
                self.running.replaced()
            self.running, self.candidate = session, None
            self.tries = 0
        if event["event"] != "closed" or session is self.running:
            self.events.append(event)

    def _handshake_too_late(self):
        session = self.candidate.session
        if session is None:
            self.candidate = None
            return
        session.end_with(REFUSED, "handshake")
        self._look()

    def _close_early(self, status):
        """The application wants no more: whatever has not been accepted is dropped, and nothing dialled."""
        self.dials = False
        if self.running is not None or self.candidate is None:
            return False
        if self.candidate.session is not None:
            self.candidate.session.end_silently("local")
        self.candidate = None
        self.events.append({"event": "closed", "reason": "local", "status": status})
        return True

    # --- Offers (§19.3) ---------------------------------------------------------------------------------------

    def _dial(self):
        """SER-14: each try is a new session with a fresh key."""
        self.tries += 1
        self.last_dial = self.last_took = self.now
        self.kept_offer = None
        self.candidate = Candidate(self, True, self.ephemerals.pop(0), preamble.offer(self.config.suites))
        self._send(self.candidate.offer)
        self._send_frame(self.candidate.message_1)

    def _dial_at(self):
        """When to dial next, or None."""
        if not self.dials or self.running is not None or not self.ephemerals:
            return None
        candidate = self.candidate
        if candidate is not None and candidate.has_message_2():
            return None  # somebody decides
        if candidate is not None and not candidate.initiator and candidate.message_1 is not None:
            return self.last_took + LONGEST_WAIT  # the other side is the one that repeats
        wait = min(FIRST_WAIT << max(self.tries - 1, 0), LONGEST_WAIT)
        return max(self.last_took + wait, self.last_dial + FIRST_WAIT)

    def _on_offer(self, offer):
        if self.candidate is not None and self.candidate.initiator:
            self.kept_offer = offer  # SER-5: only the newest
        else:
            self._answer(offer)

    def _answer(self, offer):
        """Begins a candidate as responder, in the place of an earlier one; True if it did."""
        self.offers = [t for t in self.offers if t > self.now - 1000]
        if not self.ephemerals or len(self.offers) >= MAX_OFFERS:
            return False
        self.offers.append(self.now)
        answer, code, suite = preamble.answer(offer, self.config.suites)
        self._send(answer)
        if code != preamble.ACCEPTED:
            return False
        self.candidate = Candidate(self, False, self.ephemerals.pop(0), offer, answer, suite)
        return True

    def _on_collision(self, message_1):
        """SER-5: both sides have sent an offer; the messages 1 decide."""
        offer, self.kept_offer = self.kept_offer, None
        own = self.candidate.message_1
        if message_1 == own:
            return  # it hears itself
        if not self.candidate.has_message_2() and own < message_1:
            self.tries = 1  # stays initiator
            return
        if self._answer(offer) and self._candidate_takes(self.candidate, message_1):
            self.last_took = self.now
