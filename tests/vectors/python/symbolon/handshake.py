"""Noise XX with identity proofs in its payloads (SPEC §5)."""

import warnings
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseValueError

from . import cbor, identity
from .preamble import SUITES
from .transport import Direction

MAX_LENGTH = 512  # of a handshake frame, FRM-1
MESSAGE_1 = 32
MAX_16, MAX_32, MAX_64 = 2**16 - 1, 2**32 - 1, 2**64 - 1


class HandshakeFailed(Exception):
    """Drop the connection, send nothing (HSK-4)."""


class OwnIdentity(HandshakeFailed):
    """The other side presents this side's own identity (IDP-4)."""


@dataclass
class Limits:
    """What one side declares (SPEC §5.2)."""
    max_frame: int = 16640
    max_requests: int = 64
    max_subscriptions: int = 256
    window: int = 524288
    silence: int = 30000
    features: int = 0


RANGES = {2: (256, MAX_16), 3: (0, MAX_16), 4: (0, MAX_16), 5: (0, MAX_32), 6: (0, MAX_32), 7: (0, MAX_64)}


def encode_payload(peer_id, proof, limits):
    return cbor.encode({0: peer_id, 1: proof, 2: limits.max_frame, 3: limits.max_requests,
                        4: limits.max_subscriptions, 5: limits.window, 6: limits.silence, 7: limits.features})


def decode_payload(data):
    """(identity, proof, limits) of a payload; HSK-6, HSK-7."""
    try:
        fields = cbor.decode_one(data)
    except cbor.Malformed as error:
        raise HandshakeFailed(str(error)) from None
    if not isinstance(fields, dict):
        raise HandshakeFailed("payload is no map")
    if any(key in range(8, 16) for key in fields):
        raise HandshakeFailed("unknown key below 16")
    for key, size in ((0, 32), (1, 64)):
        if type(fields.get(key)) is not bytes or len(fields[key]) != size:
            raise HandshakeFailed(f"key {key}")
    for key, (low, high) in RANGES.items():
        if type(fields.get(key)) is not int or not low <= fields[key] <= high:
            raise HandshakeFailed(f"key {key}")
    return fields[0], fields[1], Limits(*(fields[key] for key in RANGES))


def x25519_public(private):
    return _keypair(private).public_bytes


def _keypair(private):
    from noise.backends.default.keypairs import KeyPair25519
    return KeyPair25519.from_private_bytes(private)


class Handshake:
    """One side of one handshake, from the point where both preambles are known.

    `peer_id`, `peer_limits` are what the other side presented (its proof verified); `sealer`, `opener` exist
    after message 3; `hash` is the handshake hash so far.
    """

    def __init__(self, initiator, secret, static, ephemeral, limits, preambles, suite):
        self.initiator, self.secret, self.limits, self.suite = initiator, secret, limits, suite
        self.static_public = x25519_public(static)
        self.noise = NoiseConnection.from_name(SUITES[suite])
        self.noise.set_as_initiator() if initiator else self.noise.set_as_responder()
        self.noise.set_prologue(preambles)  # HSK-1
        self.noise.set_keypair_from_private_bytes(Keypair.STATIC, static)
        self.noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of given ephemeral keys
            self.noise.start_handshake()
        self.state = self.noise.noise_protocol.handshake_state
        self.peer_id = self.peer_limits = self.sealer = self.opener = None
        self.message_1_read = False

    @property
    def hash(self):
        return self.state.symmetric_state.get_handshake_hash()

    def write(self):
        """The next message: 1 and 3 of the initiator, 2 of the responder."""
        first = self.initiator and self.peer_id is None
        payload = b""
        if not first:
            role = identity.INITIATOR if self.initiator else identity.RESPONDER
            proof = identity.prove(self.secret, role, self.hash, self.static_public)
            payload = encode_payload(identity.public_key(self.secret), proof, self.limits)
        try:
            message = bytes(self.noise.write_message(payload))
        except ValueError:  # HSK-3, as in read(): the result is zero here already, where this side uses it first
            raise HandshakeFailed("all-zero Diffie-Hellman result") from None
        self._split()
        return message

    def read_message_1(self, message):
        if len(message) != MESSAGE_1:
            raise HandshakeFailed("length of message 1")  # HSK-2
        self._read(message)
        self.message_1_read = True

    def read(self, message):
        """Message 2 or 3, checked in the order of SPEC §5.4 up to the proof."""
        hash_before = self.hash
        payload = self._read(message)
        peer_id, proof, peer_limits = decode_payload(payload)
        if peer_id == identity.public_key(self.secret):
            raise OwnIdentity("own identity")
        role = identity.RESPONDER if self.initiator else identity.INITIATOR
        if not identity.verify(peer_id, proof, role, hash_before, self.state.rs.public_bytes):
            raise HandshakeFailed("proof")  # IDP-1, IDP-2
        self.peer_id, self.peer_limits = peer_id, peer_limits

    def _read(self, message):
        """noiseprotocol; `cryptography` raises ValueError for an all-zero result (HSK-3)."""
        try:
            payload = bytes(self.noise.read_message(message))
        except (InvalidTag, NoiseValueError, ValueError) as error:
            raise HandshakeFailed(f"Noise: {error}") from None
        self._split()
        return payload

    def _split(self):
        if self.noise.handshake_finished:
            protocol = self.noise.noise_protocol
            self.sealer = Direction(protocol.cipher_state_encrypt.k, self.suite)
            self.opener = Direction(protocol.cipher_state_decrypt.k, self.suite)
