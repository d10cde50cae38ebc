"""In which order messages leave (SPEC §12)."""

from collections import deque

from . import cbor
from .messages import NUMBER

CONTROL, CALLS, PUBLICATIONS, BULK = range(4)


class Lanes:
    """Two lanes of whole messages, and two of exchanges that take turns.

    `next_publication(exchange, space)` and `next_data(exchange, space)` give an exchange's next encoded message
    that fits, or None.
    """

    def __init__(self, next_publication, next_data):
        self.queues = {CONTROL: deque(), CALLS: deque()}  # of (message as a list, what to do when it is sealed)
        self.turns = {PUBLICATIONS: deque(), BULK: deque()}
        self.next = {PUBLICATIONS: next_publication, BULK: next_data}
        self.frames = 0
        self.last_frame = [0, 0, 0, 0]  # in which frame each lane had its last message

    def push(self, lane, message, on_sealed=None):
        self.queues[lane].append((message, on_sealed))

    def pong(self, token):
        """MSG-2: an unsent pong is replaced, so that only the newest ping is answered."""
        for message, _ in self.queues[CONTROL]:
            if message[0] == NUMBER["pong"]:
                message[1] = token
                return
        self.push(CONTROL, [NUMBER["pong"], token])

    def add(self, lane, exchange):
        """The exchange has something for this lane, now or when credit comes."""
        if exchange not in self.turns[lane]:
            self.turns[lane].append(exchange)

    def remove(self, exchange):
        for turns in self.turns.values():
            if exchange in turns:
                turns.remove(exchange)

    def unqueue_opening(self, id_):
        """Takes back an opening that has not been sealed."""
        openings = (NUMBER["request"], NUMBER["subscribe"])
        calls = self.queues[CALLS]
        kept = [item for item in calls if not (item[0][0] in openings and item[0][1] == id_)]
        calls.clear()
        calls.extend(kept)

    def fill(self, space):
        """The plaintext of the next frame, at most `space` bytes; empty where nothing can leave."""
        order = [CONTROL, CALLS, PUBLICATIONS, BULK]
        if self.frames % 16 == 15:  # LAN-1
            order.sort(key=lambda lane: self.last_frame[lane])
        plaintext = b""
        for lane in order:
            take = self._take_message if lane in self.queues else self._take_turn
            while (message := take(lane, space - len(plaintext))) is not None:
                plaintext += message
                self.last_frame[lane] = self.frames
            if lane in self.queues and self.queues[lane]:
                break  # full; nothing may overtake what waits here (LAN-3)
        if plaintext:
            self.frames += 1
        return plaintext

    def _take_message(self, lane, space):
        if not self.queues[lane]:
            return None
        message, on_sealed = self.queues[lane][0]
        encoded = cbor.encode(message)
        if len(encoded) > space:
            return None
        self.queues[lane].popleft()
        if on_sealed:
            on_sealed()
        return encoded

    def _take_turn(self, lane, space):
        turns = self.turns[lane]
        for exchange in list(turns):
            message = self.next[lane](exchange, space)
            if message is not None:
                if exchange in turns:  # it may have ended with this message
                    turns.rotate(-1 - turns.index(exchange))
                return message
        return None
