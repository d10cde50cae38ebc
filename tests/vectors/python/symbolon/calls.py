"""Requests, answers, and bodies in chunks (SPEC §10)."""

from . import cbor
from .exchange import REQUEST, SUBSCRIPTION, Exchange, Incoming, Outgoing
from .lanes import BULK, CALLS, CONTROL, PUBLICATIONS
from .messages import MORE, Violation, make
from .names import valid_name
from .statuses import BAD_REQUEST, CANCELLED, DEADLINE_PASSED, STALLED, UNSUPPORTED, Refused
from .transport import TAG


class Calls:
    """The part of a Session that is about requests.  `got_…`: a message came.  Others: the application acts."""

    # --- Both sides: bodies -----------------------------------------------------------------------------------

    def next_data(self, exchange, space):
        """For the bulk lane."""
        message = exchange.send.next_data(exchange.id, space)
        if message is None:
            return None
        self.touch(exchange)
        if exchange.send.ended:
            if exchange.mine:
                exchange.out_open = False
            else:
                exchange.back_open = False
                exchange.deadline_at = None
                self.discard_body(exchange)
            self.touch(exchange)
            self.lanes.remove(exchange)
            self.end_if_over(exchange)
        return message

    def touch(self, exchange):
        """The body timer begins anew, while a body goes on."""
        running = exchange.body_goes_on() and exchange.back_open and self.timer_lengths.body
        exchange.body_at = self.now + self.timer_lengths.body if running else None

    def begin_body(self, exchange):
        """The message that begins this side's body was sealed."""
        exchange.send.begun = True
        exchange.send.limit = self.peer.window
        self.lanes.add(BULK, exchange)
        self.touch(exchange)

    def discard_body(self, exchange):
        if exchange.recv is not None:
            exchange.recv.discard = True

    def grant_credit(self):
        """CRD-4, for all exchanges."""
        for exchange in self.exchanges.values():
            if exchange.recv is None:
                continue
            limit = exchange.recv.raised(self.own.max_frame)
            if limit is not None:
                self.lanes.push(CONTROL, make("credit", exchange.id, limit))
                self.touch(exchange)

    def got_credit(self, exchange, m):
        if exchange.send is not None and exchange.send.begun and m.limit > exchange.send.limit:  # CRD-1
            exchange.send.limit = m.limit
            if exchange.kind == REQUEST and not exchange.send.ended:
                self.touch(exchange)

    def _check_body(self, exchange):
        """EXC-6: whether a `data` or `end` by the other side is allowed now."""
        if exchange.mine:
            allowed = exchange.back_open and exchange.answering
        else:
            allowed = exchange.out_open
        if not allowed:
            raise Violation("EXC-6")

    def got_data(self, exchange, m):
        self._check_body(exchange)
        if exchange.kind == SUBSCRIPTION:
            raise Violation("EXC-6")
        if not exchange.recv.spend(m.cost):
            raise Violation("CRD-3")
        self.touch(exchange)
        if not exchange.recv.discard:
            self.deliver(exchange, {"event": "data", "id": exchange.id, "bytes": m.chunk}, m.cost)

    def got_end(self, exchange, m):
        self._check_body(exchange)
        if exchange.kind == SUBSCRIPTION:
            self.subscription_over(exchange, m.status)
            return
        if exchange.mine:
            exchange.back_open = False
            self._stop_own_body(exchange)
        else:
            exchange.out_open = False
        if not exchange.given_up and (exchange.mine or self._handler_lives(exchange)):
            self.tell({"event": "end", "id": exchange.id, "status": m.status})
        exchange.recv.discard = True  # no more credit for it
        self.touch(exchange)
        if exchange.mine:
            exchange.deadline_at = None
        self.end_if_over(exchange)

    def _handler_lives(self, exchange):
        """Whether the back direction of the other side's request goes on."""
        return exchange.back_open and not (exchange.answered and exchange.send is None)

    def _stop_own_body(self, exchange):
        """EXC-14: the back direction has ended while the opener is still sending."""
        if exchange.out_open:
            exchange.send.give_up(CANCELLED)

    # --- The opener -------------------------------------------------------------------------------------------

    def request(self, method, body, deadline=0, more=False, chunks=False):
        self.check_may_open()
        message = make("request", self.next_id, deadline, MORE if more else 0, method, body)
        if not valid_name(method) or len(cbor.encode(message)) > self.peer.max_frame - TAG:
            raise Refused("method or length")
        if self.count(REQUEST, mine=True) >= self.peer.max_requests:
            raise Refused("EXC-8")
        exchange = self._add_opening(REQUEST)
        exchange.chunks, exchange.opening = chunks, message
        if deadline:
            exchange.deadline_at = self.now + deadline
        if more:
            exchange.send = Outgoing()

        def sealed():
            self.opening_sealed(exchange)
            exchange.out_open = more
            if more:
                self.begin_body(exchange)
        self.lanes.push(CALLS, message, sealed)
        return exchange.id

    def refresh_deadlines(self):
        """A request says how much time is left when it is sealed."""
        for exchange in self.exchanges.values():
            if exchange.mine and not exchange.sealed and exchange.deadline_at is not None:
                exchange.opening[2] = exchange.deadline_at - self.now

    def _add_opening(self, kind):
        exchange = Exchange(self.next_id, kind, mine=True)
        self.exchanges[exchange.id] = exchange
        self.next_id += 2
        return exchange

    def opening_sealed(self, exchange):
        exchange.sealed = True
        self.highest[True] = exchange.id

    def _own_body(self, id_):
        """The body that this side may still write to."""
        self.check_open()
        exchange = self.exchanges.get(id_)
        if exchange is None or exchange.kind != REQUEST or exchange.send is None or exchange.send.end is not None:
            raise Refused("no body goes on")
        return exchange.send

    def write(self, id_, data):
        self._own_body(id_).pending += data

    def finish(self, id_):
        self._own_body(id_).end = 0

    def reset(self, id_, status):
        self._own_body(id_).give_up(status or CANCELLED)

    def cancel(self, id_, status):
        """Of an exchange of this side's, or of the body of a request of the other side's."""
        self.check_open()
        exchange = self.exchanges.get(id_)
        if exchange is None or (exchange.mine and exchange.given_up):
            raise Refused("nothing to cancel")
        if exchange.mine:
            self.give_up(exchange, status)
            self.fail(exchange, "cancelled")
        elif exchange.out_open and not exchange.recv.discard:
            self.lanes.push(CONTROL, make("cancel", id_, status))
            self.discard_body(exchange)
        else:
            raise Refused("no body to stop")

    def give_up(self, exchange, status):
        """The opener gives up: `cancel`, and the end of its body (EXC-17)."""
        exchange.given_up = True
        self.discard_body(exchange)
        if not exchange.sealed:
            self.lanes.unqueue_opening(exchange.id)
            del self.exchanges[exchange.id]
            return
        self.lanes.push(CONTROL, make("cancel", exchange.id, status))
        if exchange.out_open:
            exchange.send.give_up(status or CANCELLED)

    def got_response(self, exchange, m):
        if not exchange.back_open or exchange.answering:
            raise Violation("EXC-6")
        more = bool(m.flags & MORE)
        if more and m.status != 0:
            raise Violation("EXC-7")
        if exchange.kind == SUBSCRIPTION:
            return self.subscription_answered(exchange, m.status, more)
        event = {"event": "response", "id": exchange.id, "status": m.status, "body": m.body, "more": more}
        if not more:
            self._answered(exchange, event)
            return
        exchange.answering = True
        exchange.recv = Incoming(self.own.window)
        exchange.recv.discard = exchange.given_up
        self.touch(exchange)
        if not exchange.given_up and (not exchange.chunks or not self.own.window):
            self.give_up(exchange, UNSUPPORTED)  # §10.4
            self.fail(exchange, "unsupported")
        elif not exchange.given_up:
            self.tell(event)

    def got_busy(self, exchange, m):
        if not exchange.back_open or exchange.answering:
            raise Violation("EXC-6")
        self._answered(exchange, {"event": "busy", "id": exchange.id, "retry": m.retry})

    def _answered(self, exchange, event):
        """The back direction has ended without a body in chunks."""
        exchange.back_open = False
        exchange.deadline_at = None
        if not exchange.given_up:
            self.tell(event)
        self._stop_own_body(exchange)
        self.touch(exchange)
        self.end_if_over(exchange)

    # --- The answerer -----------------------------------------------------------------------------------------

    def got_request(self, exchange, m):
        more = bool(m.flags & MORE)
        exchange.out_open = more
        if more:
            exchange.recv = Incoming(self.own.window)
        if m.deadline:
            exchange.deadline_at = self.now + m.deadline
        self.touch(exchange)
        if not valid_name(m.method):
            self.answer(exchange, BAD_REQUEST)  # NAM-1
        elif more and not self.own.window:
            self.answer(exchange, UNSUPPORTED)
        elif self.close_status is None:
            self.tell({"event": "request", "id": exchange.id, "method": m.method, "body": m.body, "more": more})

    def answer(self, exchange, status, body=b"", more=False, message=None):
        """Queues the first answer of an exchange."""
        message = message or make("response", exchange.id, status, MORE if more else 0, body)
        exchange.answered = True
        if more:
            exchange.send = exchange.send or Outgoing()
        else:
            exchange.deadline_at = None
            self.discard_body(exchange)

        def sealed():
            exchange.answering = more
            exchange.back_open = more
            if more and exchange.kind == REQUEST:
                exchange.send.no_wait = exchange.cancelled
                self.begin_body(exchange)
            self.touch(exchange)
            self.end_if_over(exchange)
        if exchange.kind == SUBSCRIPTION:
            exchange.outbox.append((message, sealed))
            self.lanes.add(PUBLICATIONS, exchange)
        else:
            self.lanes.push(CALLS, message, sealed)

    def _unanswered(self, id_):
        self.check_open()
        exchange = self.exchanges.get(id_)
        if exchange is None or exchange.mine or exchange.answered:
            raise Refused("no answer is owed")
        return exchange

    def respond(self, id_, status, body, more=False):
        exchange = self._unanswered(id_)
        message = make("response", id_, status, MORE if more else 0, body)
        if len(cbor.encode(message)) > self.peer.max_frame - TAG:
            raise Refused("too large")
        if more and (status != 0 or exchange.kind == SUBSCRIPTION):
            raise Refused("EXC-7")
        self.answer(exchange, status, body, more)

    def respond_busy(self, id_, retry):
        self.answer(self._unanswered(id_), 0, message=make("busy", id_, retry))

    def got_cancel(self, exchange, m):
        if not exchange.mine:
            if not exchange.cancelled:
                exchange.cancelled = True
                self._opener_cancelled(exchange, m.status)
        elif exchange.out_open and not exchange.send.ended and not exchange.given_up:  # EXC-16
            if exchange.back_open and not exchange.send.given_up:
                exchange.send.give_up(m.status or CANCELLED)
                self.tell({"event": "stopped", "id": exchange.id, "status": m.status})

    def _opener_cancelled(self, exchange, status):
        if exchange.kind == SUBSCRIPTION:
            return self.unsubscribed(exchange)
        if exchange.send is not None:
            exchange.send.no_wait = True  # EXC-19
        if exchange.back_open and not self._final_queued(exchange):
            self.tell({"event": "stop", "id": exchange.id, "cause": "cancel", "status": status})

    def _final_queued(self, exchange):
        """Whether the message that ends the back direction is on its way, and not behind data that waits."""
        if exchange.send is None or exchange.mine:
            return exchange.answered
        return exchange.send.end is not None and not exchange.send.pending

    def _end_back(self, exchange, status, cause):
        """The answerer ends an exchange by itself (EXC-12, §10.5)."""
        self.tell({"event": "stop", "id": exchange.id, "cause": cause})
        if exchange.answered:
            exchange.send.give_up(status)
        else:
            self.answer(exchange, status)
        self.discard_body(exchange)

    # --- Timers -----------------------------------------------------------------------------------------------

    def deadline_passed(self, exchange):
        exchange.deadline_at = None
        if exchange.mine:
            self.give_up(exchange, DEADLINE_PASSED)
            self.fail(exchange, "deadline_passed")
        elif not self._final_queued(exchange):
            self._end_back(exchange, DEADLINE_PASSED, "deadline")

    def body_stalled(self, exchange):
        exchange.body_at = None
        if exchange.mine:
            self.give_up(exchange, STALLED)
            self.fail(exchange, "stalled")
        elif not self._final_queued(exchange):
            exchange.deadline_at = None
            self._end_back(exchange, STALLED, "stalled")
