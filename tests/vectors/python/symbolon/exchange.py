"""The state of one exchange, and credit (SPEC §10.2, §11)."""

from collections import deque

from . import cbor

REQUEST, SUBSCRIPTION = "request", "subscription"


def chunk_room(overhead, room):
    """How many bytes a chunk may have, so that `overhead`, its own head and it take at most `room`."""
    for head, largest in ((1, 23), (2, 2**8 - 1), (3, 2**16 - 1), (5, 2**32 - 1)):
        n = room - overhead - head
        if n <= largest:
            break
    return n


def uint_size(value):
    return len(cbor.encode(value))


class Outgoing:
    """What this side sends under credit: a body, or the publications of a subscription."""

    def __init__(self):
        self.limit = 0           # set when the message that begins it is sealed or got
        self.spent = 0
        self.begun = False       # only then may it leave
        self.pending = bytearray()
        self.end = None          # the status to end with, once nothing is pending
        self.ended = False       # `end` was sealed
        self.given_up = False    # nothing can be added
        self.no_wait = False     # EXC-19: the opener cancelled, so what has no credit is dropped
        self.dropped = False

    @property
    def credit(self):
        return self.limit - self.spent

    def give_up(self, status):
        """Drops what was not sealed, and ends (EXC-18: needs no credit).  The first reason counts."""
        if not self.given_up:
            self.given_up = True
            self.pending.clear()
            self.end = status

    def next_data(self, id_, space):
        """The next `data` or `end` message of a body that fits into `space`, or None."""
        if not self.begun or self.ended:
            return None
        if self.pending:
            overhead = 2 + uint_size(id_)
            n = min(chunk_room(overhead, min(space, self.credit)), len(self.pending))
            if n >= 1:
                message = cbor.encode([9, id_, bytes(self.pending[:n])])
                del self.pending[:n]
                self.spent += len(message)
                return message
            if chunk_room(overhead, self.credit) >= 1:
                return None  # the frame is full
            if not self.no_wait:
                return None  # CRD-2
            self.pending.clear()
            self.dropped = True
        if self.end is None:
            return None
        status = 1 if self.dropped and self.end == 0 else self.end
        message = cbor.encode([10, id_, status])
        if len(message) > space:
            return None
        self.ended = True
        return message


class Incoming:
    """What the other side sends under this side's credit."""

    def __init__(self, window):
        self.window = window
        self.limit = window      # granted so far
        self.got = 0             # cost of all that came
        self.taken = 0           # cost of what the application took
        self.discard = False     # nobody wants it any more: no more credit, no more data to tell

    def spend(self, cost):
        """CRD-3: False where it goes beyond the credit."""
        self.got += cost
        return self.got <= self.limit

    def raised(self, max_frame):
        """The limit to grant now, or None (CRD-4)."""
        limit = min(self.taken + self.window, 2**64 - 1)
        left = self.limit - self.got
        due = self.taken == self.got and left < self.window and left < max_frame
        if limit > self.limit and not self.discard and (due or 2 * (limit - self.limit) >= self.window):
            self.limit = limit
            return limit
        return None


class Exchange:
    def __init__(self, id_, kind, mine):
        self.id, self.kind, self.mine = id_, kind, mine
        self.sealed = False        # (mine) its opening has left
        self.out_open = False      # opener to answerer
        self.back_open = True      # answerer to opener
        self.answering = False     # a response with `more` was sealed or got
        self.answered = False      # (theirs) the application has given its first answer
        self.send = None           # Outgoing
        self.recv = None           # Incoming
        self.opening = None        # (mine) the request, until it is sealed
        self.chunks = False        # (mine) it takes an answer in chunks
        self.given_up = False      # (mine) cancelled, late or stalled: what comes is ignored
        self.cancelled = False     # (theirs) its opener sent `cancel`
        self.deadline_at = None
        self.body_at = None        # when the body timer fires
        self.untaken = 0           # cost of what the application was told while it holds
        # subscriptions only
        self.filter = None
        self.first_limit = 0       # (theirs) the `limit` of the subscribe message
        self.largest = 0           # (mine)
        self.partial = None        # (mine) a publication of which parts came
        self.end_status = None     # (mine) what ended it, once it has ended
        self.outbox = deque()      # (theirs) messages and Publications, in order

    def body_goes_on(self):
        """Whether a body of this request goes on, in either direction (§10.5)."""
        if self.kind != REQUEST:
            return False
        return (self.out_open and (self.recv or self.send) is not None) or (self.answering and self.back_open)
