"""The proof of identity: an Ed25519 signature over this very handshake (SPEC §5.3)."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

INITIATOR, RESPONDER = 1, 2


def signed_bytes(role, handshake_hash, static_public):
    """The 85 bytes that are signed."""
    return b"symbolon-identity-v1" + bytes([role]) + handshake_hash + static_public


def public_key(secret):
    """The peer id that belongs to an Ed25519 secret."""
    return bytes(SigningKey(secret).verify_key)


def prove(secret, role, handshake_hash, static_public):
    return SigningKey(secret).sign(signed_bytes(role, handshake_hash, static_public)).signature


def verify(identity, proof, role, handshake_hash, static_public):
    """Strict verification (IDP-1, IDP-2).

    libsodium refuses S >= the group order, and A or R of small order or not canonical.  Whether it multiplies by
    the cofactor depends on its version, so OpenSSL, which compares the encoding of [S]B - [k]A with R, has to agree.
    """
    signed = signed_bytes(role, handshake_hash, static_public)
    try:
        VerifyKey(identity).verify(signed, proof)
        Ed25519PublicKey.from_public_bytes(identity).verify(proof, signed)
    except (CryptoError, InvalidSignature, ValueError):
        return False
    return True
