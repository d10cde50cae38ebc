"""Names and filters (SPEC §13)."""

MAX_BYTES = 128


def _valid_level(level):
    return level != "" and not any(c in "+#/" or c <= "\x1f" or c == "\x7f" for c in level)


def valid_name(text):
    """Whether `text` is a method or topic: one or more levels joined by `/`."""
    return len(text.encode()) <= MAX_BYTES and all(_valid_level(level) for level in text.split("/"))


def valid_filter(text):
    """Whether `text` is a name in which a whole level may be `+`, and the last may be `#`."""
    levels = text.split("/")
    if levels[-1] == "#":
        levels = levels[:-1]
    return len(text.encode()) <= MAX_BYTES and all(level == "+" or _valid_level(level) for level in levels)


def has_wildcard(filter_):
    return any(level in ("+", "#") for level in filter_.split("/"))


def matches(filter_, topic):
    """Whether a valid filter matches a valid topic.  No wildcard matches a level that begins with `$`."""
    wanted, levels = filter_.split("/"), topic.split("/")
    for i, want in enumerate(wanted):
        if want == "#":
            return not any(level.startswith("$") for level in levels[i:])
        if i >= len(levels):
            return False
        if want == "+":
            if levels[i].startswith("$"):
                return False
        elif want != levels[i]:
            return False
    return len(wanted) == len(levels)
