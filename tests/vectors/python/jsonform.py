"""Messages as JSON (tests/vectors/README.md): what JSON has no form for is written as an object."""


def to_json(value):
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [to_json(v) for v in value]
    if isinstance(value, dict):
        return {"map": [[to_json(k), to_json(v)] for k, v in value.items()]}
    if type(value) is int and value < 0:
        return {"int": str(value)}
    if type(value) is int and value > 2**53 - 1:
        return {"uint": str(value)}
    return value


def from_json(value):
    if isinstance(value, list):
        return [from_json(v) for v in value]
    if isinstance(value, dict):
        (form, content), = value.items()
        if form == "hex":
            return bytes.fromhex(content)
        if form == "map":
            return {from_json(k): from_json(v) for k, v in content}
        return int(content)
    return value


def fits(expected, actual):
    """Whether `actual`, a value in JSON form, is what was expected; `{"any": true}` is everything,
    `some_of` bytes with which these begin, `last_of` bytes with which these end."""
    if isinstance(expected, dict) and "any" in expected:
        return True
    if isinstance(expected, dict) and isinstance(actual, dict) and "hex" in actual:
        if "some_of" in expected:
            return actual["hex"] != "" and expected["some_of"].startswith(actual["hex"])
        if "last_of" in expected:
            return actual["hex"] != "" and expected["last_of"].endswith(actual["hex"])
    if isinstance(expected, list):
        return (isinstance(actual, list) and len(expected) == len(actual)
                and all(fits(e, a) for e, a in zip(expected, actual)))
    return expected == actual and type(expected) is type(actual)
