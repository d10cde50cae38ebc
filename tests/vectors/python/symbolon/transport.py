"""One direction of the transport: a key and a counter (SPEC §7)."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

TAG = 16
REKEY_EVERY = 65536
LAST_NONCE = 2**64 - 1  # reserved for Rekey()


class Direction:
    """Seals, or opens, the frames of one direction, in their order."""

    def __init__(self, key, suite=0x0001, n=0):
        self.cipher, self.order = (AESGCM, "big") if suite == 0x0002 else (ChaCha20Poly1305, "little")
        self.key, self.n = key, n

    def _nonce(self, n):
        return bytes(4) + n.to_bytes(8, self.order)

    def seal(self, plaintext):
        if self.n == LAST_NONCE:
            raise OverflowError("nonces are used up")  # TRN-3
        ciphertext = self.cipher(self.key).encrypt(self._nonce(self.n), plaintext, b"")
        self._advance()
        return ciphertext

    def open(self, ciphertext):
        """The plaintext; None where it does not authenticate, and then n has not moved (TRN-1)."""
        plaintext = self.peek(ciphertext, 0)
        if plaintext is not None:
            self._advance()
        return plaintext

    def peek(self, ciphertext, ahead):
        """What opens with nonce n + `ahead` and the present key; n does not move."""
        try:
            return self.cipher(self.key).decrypt(self._nonce(self.n + ahead), ciphertext, b"")
        except (InvalidTag, ValueError, OverflowError):
            return None

    def _advance(self):
        """TRN-2: a new key after every 65,536th frame; n goes on."""
        self.n += 1
        if self.n % REKEY_EVERY == 0:
            self.rekey()

    def rekey(self):
        """Noise §4.2: Rekey()."""
        self.key = self.cipher(self.key).encrypt(self._nonce(LAST_NONCE), bytes(32), b"")[:32]
