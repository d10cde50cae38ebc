"""Packets on a serial line: COBS, and which packets are taken at all (SPEC §19.1)."""

from .preamble import INITIATOR_MAGIC, LENGTH, RESPONDER_MAGIC


def encode(packet):
    """The packet without its zeros, and one zero byte behind it (SER-6)."""
    out = bytearray()
    runs = packet.split(b"\0")
    for i, run in enumerate(runs):
        full = False
        while len(run) >= 254:
            out += b"\xff" + run[:254]
            run, full = run[254:], True
        if run or not full or i < len(runs) - 1:  # no further block behind a full one that ends the packet
            out += bytes([len(run) + 1]) + run
    return bytes(out) + b"\0"


def decode(encoded):
    """The packet; None where it breaks off within a block.  `encoded` has no zero byte."""
    packet, at = bytearray(), 0
    while at < len(encoded):
        code = encoded[at]
        block = encoded[at + 1:at + code]
        if len(block) != code - 1:
            return None
        packet += block
        at += code
        if code < 255 and at < len(encoded):
            packet.append(0)
    return bytes(packet)


def has_a_shape(packet):
    """SER-1: 8 bytes with a magic, or as long as its own first two bytes say."""
    if len(packet) == LENGTH and packet[:4] in (INITIATOR_MAGIC, RESPONDER_MAGIC):
        return True
    return len(packet) >= 2 and len(packet) == 2 + int.from_bytes(packet[:2], "big")


class Decoder:
    """Cuts a stream into packets of at most `max` bytes; all others are dropped without effect."""

    def __init__(self, max_):
        self.max = max_
        self.encoded = bytearray()
        self.too_long = False

    def feed(self, data):
        packets = []
        while data:
            part, zero, data = data.partition(b"\0")
            self._store(part)
            if zero:
                packet = None if self.too_long else decode(self.encoded)
                self.encoded.clear()
                self.too_long = False
                if packet is not None and len(packet) <= self.max and has_a_shape(packet):
                    packets.append(packet)
        return packets

    def _store(self, part):
        """SER-8: never stores more than the longest packet can be, with the empty block that may end it."""
        longest = self.max + (self.max + 253) // 254 + 1
        if len(self.encoded) + len(part) > longest:
            self.too_long = True
        if not self.too_long:
            self.encoded += part
