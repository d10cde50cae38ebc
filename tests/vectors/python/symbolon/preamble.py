"""The eight bytes in clear with which each direction begins (SPEC §3)."""

INITIATOR_MAGIC = b"symb"
RESPONDER_MAGIC = b"olon"
LENGTH = 8
VERSION = 1  # the only one that this peer speaks
PROFILE = 0
SUITES = {0x0001: b"Noise_XX_25519_ChaChaPoly_SHA256", 0x0002: b"Noise_XX_25519_AESGCM_SHA256"}
ACCEPTED, BAD_VERSION, BAD_PROFILE, NO_SUITE, BUSY = range(5)


class BadPreamble(Exception):
    """A preamble that has to be refused in silence (PRE-3, PRE-5)."""


def offer(suites):
    """The initiator's preamble."""
    return INITIATOR_MAGIC + bytes([VERSION, PROFILE]) + suites.to_bytes(2, "big")


def answer(offered, suites):
    """The responder's preamble to a whole offer with the right magic: (preamble, code, chosen suite)."""
    version, profile = offered[4], offered[5]
    common = int.from_bytes(offered[6:8], "big") & suites  # PRE-6: unknown bits fall out here
    if version < VERSION:
        code = BAD_VERSION
    elif profile != PROFILE:
        code = BAD_PROFILE
    elif not common:
        code = NO_SUITE
    else:
        code = ACCEPTED
    suite = best_of(common) if code == ACCEPTED else suites
    return RESPONDER_MAGIC + bytes([VERSION, code]) + suite.to_bytes(2, "big"), code, suite


def best_of(common):
    """Where both sides have AES it is the faster one; the choice is free."""
    return 0x0002 if common & 0x0002 else common & 0x0001


def check_answer(preamble, suites):
    """What a whole responder's preamble with the right magic says: (code, chosen suite).  PRE-5."""
    version, code, suite = preamble[4], preamble[5], int.from_bytes(preamble[6:8], "big")
    if code > BUSY:
        raise BadPreamble("unknown code")
    if code == ACCEPTED:
        if not 0 < version <= VERSION:
            raise BadPreamble("version")
        if suite not in SUITES or not suite & suites:
            raise BadPreamble("suite")
    return code, suite
