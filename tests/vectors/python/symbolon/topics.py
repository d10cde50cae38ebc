"""Subscriptions and publications (SPEC §14)."""

from dataclasses import dataclass

from . import cbor
from .exchange import SUBSCRIPTION, Incoming, Outgoing, chunk_room
from .lanes import CALLS, PUBLICATIONS
from .messages import ABORT, MORE, NUMBER, RETAINED, U32, UNKNOWN, Violation, make
from .names import has_wildcard, matches, valid_filter, valid_name
from .statuses import BAD_REQUEST, Refused
from .transport import TAG


@dataclass
class Publication:
    """One that waits to be sent, or of which a part was sent."""
    topic: str
    epoch: int
    sequence: int
    body: bytes
    missed: int = 0
    unknown: bool = False
    retained: bool = False
    sent: int = 0
    started: bool = False

    def flags(self):
        return (UNKNOWN if self.unknown else 0) | (RETAINED if self.retained else 0)

    def whole(self, id_):
        return cbor.encode(make("publication", id_, self.missed, self.flags(), self.topic, self.epoch,
                                self.sequence, self.body))

    def part(self, id_, n):
        """The next part, with n bytes of the body."""
        chunk = self.body[self.sent:self.sent + n]
        if not self.started:
            return cbor.encode(make("publication", id_, self.missed, self.flags() | MORE, self.topic, self.epoch,
                                    self.sequence, chunk, len(self.body)))
        last = self.sent + n == len(self.body)
        return cbor.encode(make("continuation", id_, 0 if last else MORE, chunk))


class Topics:
    """The part of a Session that is about subscriptions.  `got_…`: a message came.  Others: the application acts."""

    # --- The subscriber -----------------------------------------------------------------------------------------

    def subscribe(self, filter_, limit, resume=None, largest=0):
        """`resume` is None, or the (epoch, sequence) of the last publication that the application has."""
        self.check_may_open()
        if not valid_filter(filter_) or (resume and has_wildcard(filter_)):  # PUB-4
            raise Refused("filter")
        if self.count(SUBSCRIPTION, mine=True) >= self.peer.max_subscriptions:
            raise Refused("EXC-8")
        exchange = self._add_opening(SUBSCRIPTION)
        exchange.filter = filter_
        exchange.recv = Incoming(limit)
        exchange.largest = largest or self.own.max_frame
        self.lanes.push(CALLS, make("subscribe", exchange.id, limit, filter_, *(resume or ())),
                        lambda: self.opening_sealed(exchange))
        return exchange.id

    def subscription_answered(self, exchange, status, stands):
        if not stands:
            return self.subscription_over(exchange, status)
        exchange.answering = True
        if not exchange.given_up:
            self.tell({"event": "subscribed", "id": exchange.id})

    def subscription_over(self, exchange, status):
        """`end`, or a response that ends it."""
        exchange.back_open = False
        if exchange.partial and not exchange.given_up and not exchange.partial["unwanted"]:
            self._partial_is_missed(exchange)  # PUB-10
        exchange.end_status = status
        if not exchange.given_up:
            self.tell({"event": "subscription_ended", "id": exchange.id, "status": status})
        self.end_if_over(exchange)

    def _check_publishing(self, exchange):
        if exchange.kind != SUBSCRIPTION or not exchange.back_open or not exchange.answering:
            raise Violation("EXC-6")

    def _spend(self, exchange, m):
        if not exchange.recv.spend(m.cost):
            raise Violation("CRD-3")

    def got_publication(self, exchange, m):
        self._check_publishing(exchange)
        self._spend(exchange, m)
        if exchange.partial:
            raise Violation("PUB-7")
        if not valid_name(m.topic) or not matches(exchange.filter, m.topic):
            raise Violation("NAM-3")
        more = bool(m.flags & MORE)
        total = m.total if more else len(m.chunk)
        event = {"event": "publication", "id": exchange.id, "topic": m.topic, "epoch": m.epoch,
                 "sequence": m.sequence, "missed": m.missed, "unknown": bool(m.flags & UNKNOWN),
                 "retained": bool(m.flags & RETAINED), "body": m.chunk}
        if len(m.chunk) > total:
            raise Violation("PUB-6")
        partial = {"event": event, "total": total, "size": len(m.chunk), "chunks": [m.chunk], "cost": m.cost,
                   "unwanted": exchange.given_up}
        if not exchange.given_up and total > exchange.largest:  # §14.5: discarded as it comes
            partial["unwanted"] = True
            self._missed(exchange, event["missed"] + 1, event["unknown"])
        exchange.recv.taken += m.cost  # PUB-8
        if more:
            exchange.partial = partial
        else:
            self._whole(exchange, partial)

    def _whole(self, exchange, partial):
        """The last part is here; the parts do not count as taken any more, until the application takes the whole."""
        if partial["unwanted"]:
            return
        exchange.recv.taken -= partial["cost"]
        event = {**partial["event"], "body": b"".join(partial["chunks"])}
        self.deliver(exchange, event, partial["cost"])

    def got_continuation(self, exchange, m):
        self._check_publishing(exchange)
        self._spend(exchange, m)
        partial = exchange.partial
        if partial is None:
            raise Violation("PUB-7")
        if m.flags & ABORT:
            if m.flags & MORE or m.chunk:
                raise Violation("PUB-7")
            exchange.recv.taken += m.cost
            exchange.partial = None
            if not partial["unwanted"]:
                self._partial_is_missed(exchange, partial)
            return
        partial["size"] += len(m.chunk)
        if partial["size"] > partial["total"]:
            raise Violation("PUB-6")
        exchange.recv.taken += m.cost
        partial["cost"] += m.cost
        if not partial["unwanted"]:
            partial["chunks"].append(m.chunk)
        if not m.flags & MORE:
            if partial["size"] != partial["total"]:
                raise Violation("PUB-6")
            exchange.partial = None
            self._whole(exchange, partial)

    def _partial_is_missed(self, exchange, partial=None):
        partial = partial or exchange.partial
        exchange.partial = None
        self._missed(exchange, partial["event"]["missed"] + 1, partial["event"]["unknown"])

    def _missed(self, exchange, count, unknown):
        self.tell({"event": "missed", "id": exchange.id, "count": count, "unknown": unknown})

    def got_missed(self, exchange, m):
        self._check_publishing(exchange)
        if not exchange.given_up:
            self._missed(exchange, m.count, bool(m.flags & UNKNOWN))

    # --- The publisher ------------------------------------------------------------------------------------------

    def got_subscribe(self, exchange, m):
        exchange.filter, exchange.first_limit = m.filter, m.limit
        exchange.send = Outgoing()
        exchange.send.limit, exchange.send.begun = m.limit, True
        resumes = m.epoch is not None
        if not valid_filter(m.filter) or (resumes and has_wildcard(m.filter)):
            self.answer(exchange, BAD_REQUEST)  # NAM-1, PUB-4
        elif self.close_status is None:
            event = {"event": "subscribe", "id": exchange.id, "filter": m.filter}
            if resumes:
                event.update(epoch=m.epoch, sequence=m.sequence)
            self.tell(event)

    def accept(self, id_):
        exchange = self._unanswered(id_)
        if exchange.kind != SUBSCRIPTION:
            raise Refused("no subscription")
        self.answer(exchange, 0, more=True)

    def _standing(self, id_):
        self.check_open()
        exchange = self.exchanges.get(id_)
        stands = exchange is not None and not exchange.mine and exchange.kind == SUBSCRIPTION
        if not stands or not exchange.answered or exchange.send.end is not None:
            raise Refused("no subscription stands")
        return exchange

    def publish(self, id_, publication):
        exchange = self._standing(id_)
        if not valid_name(publication.topic) or not matches(exchange.filter, publication.topic):
            raise Refused("NAM-3")
        exchange.outbox.append(publication)
        self.lanes.add(PUBLICATIONS, exchange)

    def tell_missed(self, id_, count, unknown):
        exchange = self._standing(id_)
        exchange.outbox.append((make("missed", id_, UNKNOWN if unknown else 0, count), None))
        self.lanes.add(PUBLICATIONS, exchange)

    def end(self, id_, status):
        """Ends a subscription; what still waits is dropped, and counted (PUB-3)."""
        exchange = self._standing(id_)
        exchange.send.end = status
        count, unknown, kept = 0, False, []
        for item in exchange.outbox:
            if isinstance(item, Publication):
                if not item.started:  # one that is half sent counts itself (PUB-10)
                    count += item.missed + 1  # PUB-2
                    unknown |= item.unknown
            elif item[0][0] == NUMBER["missed"]:
                count += item[0][3]
                unknown |= bool(item[0][2] & UNKNOWN)
            else:
                kept.append(item)
        if count or unknown:
            flags = UNKNOWN if unknown or count > U32 else 0
            kept.append((make("missed", id_, flags, min(count, U32)), None))
        exchange.outbox.clear()
        exchange.outbox.extend(kept)

        def sealed():
            exchange.back_open = False
            self.end_if_over(exchange)
        exchange.outbox.append((make("end", id_, status), sealed))
        self.lanes.add(PUBLICATIONS, exchange)

    def unsubscribed(self, exchange):
        """The subscriber cancelled (§14.1); the application answers with `end`, or a response."""
        if exchange.send.end is None:
            self.tell({"event": "unsubscribe", "id": exchange.id})

    def next_publication(self, exchange, space):
        """For the publications lane."""
        if not exchange.outbox:
            self.lanes.turns[PUBLICATIONS].remove(exchange)
            return None
        item = exchange.outbox[0]
        if not isinstance(item, Publication):
            return self._next_message(exchange, space)
        message, n = self._next_part(exchange, item, space)
        if message is None:
            return None
        exchange.send.spent += len(message)
        item.started = True
        item.sent += n
        if item.sent == len(item.body):
            exchange.outbox.popleft()
        return message

    def _next_message(self, exchange, space):
        message, on_sealed = exchange.outbox[0]
        encoded = cbor.encode(message)
        if len(encoded) > space:
            return None
        exchange.outbox.popleft()
        if on_sealed:
            on_sealed()
        return encoded

    def _next_part(self, exchange, publication, space):
        """(message, bytes of the body in it): whole if it can be, else in parts (PUB-9); None if it has to wait."""
        credit, most = exchange.send.credit, self.peer.max_frame - TAG
        if not publication.started:
            whole = publication.whole(exchange.id)
            if len(whole) <= min(credit, most):
                return (whole, len(publication.body)) if len(whole) <= space else (None, 0)
            if len(whole) <= min(exchange.first_limit, most):
                return None, 0  # there will be credit for it as a whole
        empty = len(publication.part(exchange.id, 0))
        rest = len(publication.body) - publication.sent
        n = min(chunk_room(empty - 1, min(space, credit)), rest)
        if not publication.started and n == rest:
            n = rest - 1  # the first part always has `more`
        only_head_fits = not publication.started and n == 0 and chunk_room(empty - 1, credit) == 0
        if n >= 1 or only_head_fits:
            return publication.part(exchange.id, n), n
        return None, 0
