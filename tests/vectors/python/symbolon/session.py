"""A connection once there are transport keys: messages, timers, endings (SPEC §6-§17)."""

from dataclasses import dataclass

from . import messages
from .calls import Calls
from .cbor import encode
from .exchange import REQUEST, Exchange
from .lanes import CONTROL, Lanes
from .messages import Violation, make
from .statuses import EXHAUSTED, OK, REFUSED, REPLACED, TIMED_OUT, VIOLATION, Refused
from .topics import Topics
from .transport import LAST_NONCE, TAG

DECIDING, AWAITING, OPEN, CLOSING, ENDED = "deciding", "awaiting accept", "open", "closing", "ended"


@dataclass
class Timers:
    """SPEC §15, in ms; a `body` of 0 is never."""
    handshake: int = 10000
    frame: int = 10000
    probe: int = 5000
    close: int = 3000
    body: int = 60000


class Session(Calls, Topics):
    """`frames` collects the Noise messages to send; `tell` is called with each event, a dict."""

    def __init__(self, handshake, own, timers, tell, now, early=True):
        self.initiator, self.peer_id = handshake.initiator, handshake.peer_id
        self.sealer, self.opener = handshake.sealer, handshake.opener
        self.own, self.peer = own, handshake.peer_limits
        self.timer_lengths, self.tell, self.now = timers, tell, now
        self.early = early                 # may send behind message 3, before `accept` (not on lines, SER-12)
        self.state = AWAITING if self.initiator else DECIDING
        self.accepted = False              # `accept` was queued or got
        self.reason = None                 # the event `closed`, once it has ended
        self.frames = []
        self.lanes = Lanes(self.next_publication, self.next_data)
        self.exchanges = {}
        self.next_id = 2 if self.initiator else 1
        self.highest = {True: 0, False: 0}  # the highest id opened: by this side, by the other
        self.stray_budget = 64
        self.goaway_sent = self.goaway_got = None
        self.close_status = None           # of our own `close`
        self.timers = {}                   # name: when it is due
        self.probe_renewed = False         # TIM-4
        self.pings = 0
        self.holding = False               # the application takes nothing of what comes
        self.held_ids = set()              # or nothing of these exchanges

    # --- Frames -------------------------------------------------------------------------------------------------

    def on_frame(self, ciphertext):
        """One transport frame that came."""
        plaintext = self.opener.open(ciphertext)
        if plaintext is None:
            return self.end_with(VIOLATION, "violation")  # TRN-1
        self.on_plaintext(plaintext)

    def on_plaintext(self, plaintext):
        self.timers.pop("probe", None)
        self.probe_renewed = False
        self._start("silence", self.peer.silence)
        try:
            for message in messages.decode(plaintext):  # TRN-4: one by one
                self._dispatch(message)
                if self.state == ENDED:
                    return  # END-2
        except Violation:
            self.end_with(VIOLATION, "violation")

    def flush(self):
        """Seals all that waits and may leave now (TRN-5)."""
        if self.state in (DECIDING, CLOSING, ENDED) or (self.state == AWAITING and not self.early):
            return
        self.grant_credit()
        self.refresh_deadlines()
        while plaintext := self.lanes.fill(self.peer.max_frame - TAG):  # FRM-2
            self._seal(plaintext)
            if self.state == ENDED:
                return

    def _seal(self, plaintext):
        if self.sealer.n >= LAST_NONCE - 2:  # TRN-3: the last nonce is kept for `close`
            self.frames.append(self.sealer.seal(encode(make("close", EXHAUSTED))))
            return self._finish("exhausted")
        self.frames.append(self.sealer.seal(plaintext))
        self._start("keepalive", (self.own.silence + 1) // 2)

    # --- Messages -----------------------------------------------------------------------------------------------

    def _dispatch(self, m):
        if self.state == AWAITING or (self.state == CLOSING and self.initiator and not self.accepted):
            if m.name not in ("accept", "close"):
                raise Violation("ADM-5")
        elif m.name == "accept":
            raise Violation("ADM-5")
        if m.name == "padding":
            return  # ENC-5
        if m.name in ("request", "subscribe"):
            self._got_opening(m)
        elif m.by in ("O", "A") or m.name in ("cancel", "data", "end", "credit"):
            exchange = self._find(m)
            if exchange is not None:
                getattr(self, "got_" + m.name)(exchange, m)
        else:
            getattr(self, "got_" + m.name)(m)

    def is_mine(self, id_):
        return (id_ % 2 == 0) == self.initiator

    def _got_opening(self, m):
        if m.id == 0 or self.is_mine(m.id) or m.id <= self.highest[False]:
            raise Violation("EXC-2")
        self.highest[False] = m.id
        if self.goaway_sent is not None and m.id > self.goaway_sent:
            return  # END-5
        kind = "request" if m.name == "request" else "subscription"
        allowed = self.own.max_requests if kind == REQUEST else self.own.max_subscriptions
        if self.count(kind, mine=False) >= allowed:
            raise Violation("EXC-9")
        exchange = self.exchanges[m.id] = Exchange(m.id, kind, mine=False)
        exchange.sealed = True
        getattr(self, "got_" + m.name)(exchange, m)

    def _find(self, m):
        """The open exchange that a message is about; None where it is to be ignored."""
        mine = self.is_mine(m.id)
        if (m.by == "O" and mine) or (m.by == "A" and not mine):
            raise Violation("EXC-5")
        if m.id == 0 or m.id > self.highest[mine]:
            raise Violation("EXC-3")
        exchange = self.exchanges.get(m.id)
        if exchange is not None:
            return exchange
        if m.name == "credit" or (not mine and self.goaway_sent is not None and m.id > self.goaway_sent):
            return None
        if self.stray_budget == 0:
            raise Violation("EXC-4")
        self.stray_budget -= 1
        return None

    def count(self, kind, mine):
        return sum(1 for e in self.exchanges.values() if e.kind == kind and e.mine == mine)

    def end_if_over(self, exchange):
        """SPEC §10.2: both directions have ended."""
        if not exchange.out_open and not exchange.back_open and self.exchanges.pop(exchange.id, None):
            self.lanes.remove(exchange)
            self.stray_budget = min(self.stray_budget + 4, 256)

    def got_accept(self, _):
        self._accepted()

    def _accepted(self):
        self.accepted = True
        if self.state != CLOSING:
            self.state = OPEN
            self._start("silence", self.peer.silence)
            self._start("keepalive", (self.own.silence + 1) // 2)
            self.tell({"event": "connected", "peer": self.peer_id})

    def got_close(self, m):
        """SPEC §16.1."""
        if self.close_status is not None:
            return self._finish("local", status=self.close_status)
        if self.state == AWAITING:
            return self._finish("remote", status=m.status)  # ADM: its own `close` may be left out
        self.flush()
        self.frames.append(self.sealer.seal(encode(make("close", OK))))
        self._finish("remote", status=m.status)

    def got_goaway(self, m):
        """SPEC §16.2."""
        if self.goaway_got is not None and m.last >= self.goaway_got:
            return
        first = self.goaway_got is None
        self.goaway_got = m.last
        if first:
            self.tell({"event": "going_away"})
        for id_ in sorted(self.exchanges):
            exchange = self.exchanges[id_]
            if exchange.mine and (id_ > m.last or not exchange.sealed):
                self.lanes.remove(exchange)
                self.lanes.unqueue_opening(id_)
                del self.exchanges[id_]
                self.fail(exchange, "not_executed")

    def got_ping(self, m):
        self.lanes.pong(m.token)

    def got_pong(self, _):
        pass

    # --- What the application does --------------------------------------------------------------------------------

    def admit(self):
        """The responder's decision (ADM-2)."""
        self._accepted()
        self._seal(encode(make("accept")))  # at once: whatever ends the connection now, it has left

    def refuse(self):
        self.end_with(REFUSED, "not_admitted")

    def goaway(self):
        if self.state != OPEN or self.goaway_sent is not None:
            raise Refused("goaway")
        self.goaway_sent = self.highest[False]
        self.lanes.push(CONTROL, make("goaway", self.goaway_sent))

    def close(self, status):
        """An orderly end, behind all that is queued and needs no more credit."""
        if self.state not in (AWAITING, OPEN):
            raise Refused("close")
        self.flush()
        if self.state == ENDED:
            return
        self.close_status = status
        self.frames.append(self.sealer.seal(encode(make("close", status))))
        self.state = CLOSING
        self.timers = {"close": self.now + self.timer_lengths.close}

    def check_may_open(self):
        if self.state not in (AWAITING, OPEN) or self.goaway_got is not None:  # END-4
            raise Refused("no exchange can be opened")

    def check_open(self):
        if self.state not in (AWAITING, OPEN):
            raise Refused("not connected")

    def deliver(self, exchange, event, cost):
        """Tells what came under credit, and counts it as taken, unless the application holds."""
        self.tell(event)
        if self.holding or exchange.id in self.held_ids:
            exchange.untaken += cost
        else:
            exchange.recv.taken += cost

    def hold(self, id_=None):
        """From now on what comes does not count as taken: in no exchange, or in one."""
        if id_ is None:
            self.holding = True
        else:
            self.held_ids.add(id_)

    def take(self, id_=None):
        if id_ is None:
            self.holding = False
        else:
            self.held_ids.discard(id_)
        for exchange in self.exchanges.values():
            if exchange.recv and not self.holding and exchange.id not in self.held_ids:
                exchange.recv.taken += exchange.untaken
                exchange.untaken = 0

    # --- Endings --------------------------------------------------------------------------------------------------

    def end_with(self, status, reason, **more):
        """SPEC §16.3: `close` as the last message, without waiting for an answer."""
        if self.state == ENDED:
            return
        if self.state != CLOSING:
            self.frames.append(self.sealer.seal(encode(make("close", status))))
        self._finish(reason, **more)

    def end_silently(self, reason, **more):
        """Drops it: nothing more is sent."""
        if self.state != ENDED:
            self._finish(reason, **more)

    def replaced(self):
        """SER-13."""
        self.end_silently("local", status=REPLACED)

    def eof(self):
        if self.state != ENDED:
            self._finish("truncated")  # END-3

    def _finish(self, reason, **more):
        """The endings of everything pending, then `closed`."""
        unaccepted = self.initiator and not self.accepted and reason in ("remote", "local")
        self.state = ENDED
        self.timers = {}
        for id_ in sorted(self.exchanges):
            exchange = self.exchanges[id_]
            if exchange.mine and not exchange.given_up:
                not_executed = not exchange.sealed or unaccepted  # §16.4
                self.fail(exchange, "not_executed" if not_executed else "disconnected")
        self.exchanges = {}
        self.reason = {"event": "closed", "reason": reason, **more}
        self.tell(self.reason)

    def fail(self, exchange, how):
        self.tell({"event": "failed", "id": exchange.id, "how": how})

    # --- Timers (SPEC §15) ----------------------------------------------------------------------------------------

    def _start(self, name, length):
        if length and self.state == OPEN:
            self.timers[name] = self.now + length

    def _due(self):
        """All timers that run: (when, name, exchange)."""
        for name, when in self.timers.items():
            yield when, name, None
        for exchange in self.exchanges.values():
            if self.state == ENDED or exchange.given_up:
                continue
            if exchange.deadline_at is not None:
                yield exchange.deadline_at, "deadline", exchange
            if exchange.body_at is not None:
                yield exchange.body_at, "body", exchange

    def next_timer(self):
        return min((when for when, _, _ in self._due()), default=None)

    def fire(self):
        """Fires what is due at `now`, in order."""
        while self.state != ENDED:
            when, name, exchange = min(self._due(), key=lambda timer: timer[0], default=(None, None, None))
            if when is None or when > self.now:
                return
            if exchange is None:
                del self.timers[name]
                getattr(self, "_fire_" + name)(self.now - when)
            elif name == "deadline":
                self.deadline_passed(exchange)
            else:
                self.body_stalled(exchange)

    def _ping(self):
        self.pings += 1
        self.lanes.push(CONTROL, make("ping", self.pings))

    def _fire_silence(self, _):
        self._ping()
        self._start("probe", self.timer_lengths.probe)  # TIM-2

    def _fire_probe(self, late):
        if late > self.timer_lengths.probe / 2 and not self.probe_renewed:  # TIM-4
            self.probe_renewed = True
            return self._start("probe", self.timer_lengths.probe)
        self.end_with(TIMED_OUT, "timed_out")

    def _fire_keepalive(self, _):
        self._ping()
        self._start("keepalive", (self.own.silence + 1) // 2)

    def _fire_close(self, _):
        self._finish("timed_out")  # END-3
