"""Statuses (SPEC §17), and what a command that cannot be done raises."""

(OK, CANCELLED, DEADLINE_PASSED, NOT_FOUND, DENIED, BAD_REQUEST, FAILED, TOO_LARGE, UNAVAILABLE, UNSUPPORTED,
 SUPERSEDED, STALLED) = range(12)
REFUSED, VIOLATION, TIMED_OUT, REPLACED, SHUTTING_DOWN, EXHAUSTED, INTERNAL, LOST = range(32, 40)


class Refused(Exception):
    """The application asked for something that cannot be done; nothing comes of it."""
