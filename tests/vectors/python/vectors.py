"""Checks the test vectors, kind by kind, as tests/vectors/README.md says.  Each check raises on failure."""

from jsonform import from_json, to_json
from scripts import Failure, run_script
from symbolon import cbor, cobs, description, identity, messages
from symbolon.handshake import Handshake, HandshakeFailed, Limits, decode_payload, encode_payload
from symbolon.peer import Config, Peer
from symbolon.preamble import SUITES
from symbolon.transport import Direction

CHUNKS = (0, 7, 1)


def ensure(condition, what):
    if not condition:
        raise Failure(what)


def unhex(vector, name):
    return bytes.fromhex(vector[name])


def check_encoding(vector, _):
    plaintext, decoded = unhex(vector, "plaintext"), []
    try:
        for message in messages.decode(plaintext):
            decoded.append(message)
        refused = False
    except messages.Violation:
        refused = True
    ensure(refused == (vector["result"] == "refused"), f"refused: {refused}")
    if refused:
        ensure(len(decoded) == vector["first_bad"], f"first bad: {len(decoded)}")
        return
    ensure([to_json(m.elements) for m in decoded] == vector["messages"], f"{[to_json(m.elements) for m in decoded]}")
    ensure(b"".join(cbor.encode(from_json(m)) for m in vector["messages"]) == plaintext, "encoding differs")


def check_payload(vector, _):
    try:
        peer_id, proof, limits = decode_payload(unhex(vector, "payload"))
    except HandshakeFailed as error:
        ensure(vector["result"] == "refused", str(error))
        return
    ensure(vector["result"] == "accepted", "not refused")
    said = {"identity": peer_id.hex(), "proof": proof.hex(), **{k: to_json(v) for k, v in vars(limits).items()}}
    ensure(said == vector["fields"], f"{said}")


def check_description(vector, _):
    data = unhex(vector, "description")
    try:
        fields = description.decode(data)
    except description.Bad as error:
        ensure(vector["result"] == "refused", str(error))
        return
    ensure(vector["result"] == "accepted", "not refused")
    ensure(fields == vector["fields"], f"{fields}")
    ensure((description.encode(fields) == data) == vector["canonical"], f"encode: {description.encode(fields).hex()}")


def check_cobs(vector, _):
    if "packet" in vector:
        packet, encoded = unhex(vector, "packet"), unhex(vector, "encoded")
        ensure(cobs.decode(encoded[:-1]) == packet, "decode")
        ensure(not vector["canonical"] or cobs.encode(packet) == encoded, f"encode: {cobs.encode(packet).hex()}")
        return
    stream = unhex(vector, "stream")
    for size in (len(stream) or 1, 7, 1):
        decoder, packets = cobs.Decoder(vector["max"]), []
        for at in range(0, len(stream), size):
            packets += decoder.feed(stream[at:at + size])
        ensure([p.hex() for p in packets] == vector["packets"], f"{[p.hex() for p in packets]}")


def check_identity(vector, _):
    role, hash_, static = vector["role"], unhex(vector, "hash"), unhex(vector, "static")
    holds = identity.verify(unhex(vector, "identity"), unhex(vector, "proof"), role, hash_, static)
    ensure(holds == (vector["result"] == "accepted"), f"holds: {holds}")
    if "signed" in vector:
        ensure(identity.signed_bytes(role, hash_, static).hex() == vector["signed"], "signed bytes")
    if "secret" in vector:
        secret = unhex(vector, "secret")
        ensure(identity.public_key(secret).hex() == vector["identity"], "public key")
        ensure(identity.prove(secret, role, hash_, static).hex() == vector["proof"], "signature")


def handshake_sides(vector):
    """Both sides of a handshake vector."""
    suite = next(bit for bit, name in SUITES.items() if name.decode() == vector["protocol_name"])
    limits = Limits(**{"features": 0, **vector["limits"]})
    for side in ("init", "resp"):
        yield Handshake(side == "init", unhex(vector, side + "_identity"), unhex(vector, side + "_static"),
                        unhex(vector, side + "_ephemeral"), limits,
                        unhex(vector, "init_preamble") + unhex(vector, "resp_preamble"), suite)


def check_handshake(vector, _):
    ensure(vector["init_prologue"] == vector["init_preamble"] + vector["resp_preamble"], "prologue")
    initiator, responder = handshake_sides(vector)
    wanted = [bytes.fromhex(m["ciphertext"]) for m in vector["messages"]]
    payloads = [bytes.fromhex(m["payload"]) for m in vector["messages"]]
    for number, (writer, reader) in enumerate(((initiator, responder), (responder, initiator),
                                               (initiator, responder))):
        message = writer.write()
        ensure(message == wanted[number], f"message {number + 1}: {message.hex()}")
        reader.read(message) if number else reader.read_message_1(message)
        ensure(writer.hash.hex() == reader.hash.hex() == vector["hashes"][number], f"hash {number + 1}")
        if number:
            peer_id, proof, limits = decode_payload(payloads[number])
            ensure((peer_id, limits) == (reader.peer_id, reader.peer_limits), "payload")
            ensure(encode_payload(peer_id, proof, limits) == payloads[number], "payload encoding")
    ensure(initiator.sealer.key.hex() == responder.opener.key.hex() == vector["init_key"], "init_key")
    ensure(responder.sealer.key.hex() == initiator.opener.key.hex() == vector["resp_key"], "resp_key")
    ensure(vector["handshake_hash"] == vector["hashes"][2], "handshake_hash")
    for number in range(3, len(wanted)):
        writer, reader = (responder, initiator) if number % 2 else (initiator, responder)
        ensure(writer.sealer.seal(payloads[number]) == wanted[number], f"message {number + 1}")
        ensure(reader.opener.open(wanted[number]) == payloads[number], f"opening message {number + 1}")


def peers_of(base):
    """Two Peers with the keys and suites of a handshake vector, each of which expects the other."""
    for side, other in (("init", "resp"), ("resp", "init")):
        suites = int.from_bytes(unhex(base, side + "_preamble")[6:8], "big") | 0x0001  # a responder: what it takes
        yield Peer(Config(side == "init", unhex(base, side + "_identity"), unhex(base, side + "_static"),
                          unhex(base, other + "_peer_id"), Limits(**{"features": 0, **base["limits"]}),
                          suites=suites),
                   unhex(base, side + "_ephemeral"))


def replacements(vector, genuine):
    """The frames that take the place of the genuine message."""
    if "frame" in vector:
        yield unhex(vector, "frame")
    for offset in vector.get("flip", []):
        changed = bytearray(genuine)
        changed[offset] ^= 1
        yield len(genuine).to_bytes(2, "big") + changed
    for length in vector.get("truncate", []):
        yield length.to_bytes(2, "big") + genuine[:length]


def check_mutation(vector, bases):
    base = bases[vector["base"]]
    genuine = bytes.fromhex(base["messages"][vector["message"] - 1]["ciphertext"])
    for frame in replacements(vector, genuine):
        refuse(vector, base, frame)


def refuse(vector, base, frame):
    """One handshake with one frame replaced."""
    initiator, responder = peers_of(base)
    refuser = initiator if vector["refused_by"] == "initiator" else responder
    offer = initiator.output()
    responder.feed(0, offer[:8])
    initiator.feed(0, responder.output())
    in_flight = offer[8:]
    for number, receiver in ((1, responder), (2, initiator), (3, responder)):
        receiver.feed(0, frame if number == vector["message"] else in_flight)
        in_flight = receiver.output()
        if receiver.closed:
            ensure(receiver is refuser and number == vector["at_message"], f"refused at message {number}")
            ensure(in_flight == b"", "sent something after it")
            ensure([e["event"] for e in receiver.events] == ["closed"], f"told {receiver.events}")
            ensure(receiver.events[0]["reason"] == "handshake", f"told {receiver.events}")
            return
    raise Failure("not refused")


def check_transport(vector, _):
    key, suite = unhex(vector, "key"), vector["suite"]
    if "rekeyed" in vector:
        direction = Direction(key, suite)
        direction.rekey()
        ensure(direction.key.hex() == vector["rekeyed"], "rekeyed")
        return
    n, ciphertext = from_json(vector["n"]), unhex(vector, "ciphertext")
    opened = Direction(key, suite, n).peek(ciphertext, 0)
    if vector["result"] == "refused":
        ensure(opened is None, "opened")
        return
    ensure(opened == unhex(vector, "plaintext"), "opening")
    ensure(Direction(key, suite, n).seal(opened) == ciphertext, "sealing")


def check_script(vector, setups):
    for size in CHUNKS:
        try:
            run_script(vector, setups, size)
        except Failure as failure:
            raise Failure(f"(chunks of {size or 'all'}) {failure}") from None


CHECKS = {"encoding": check_encoding, "payload": check_payload, "description": check_description,
          "cobs": check_cobs, "identity": check_identity, "handshake": check_handshake, "mutation": check_mutation, "transport": check_transport,
          "script": check_script}


def check_file(content, bases, report):
    """Checks one file; `report(id, what)` for each failure.  Returns (passed, all)."""
    passed = 0
    context = bases if content["kind"] == "mutation" else content.get("setups")
    for vector in content["vectors"]:
        try:
            CHECKS[content["kind"]](vector, context)
            passed += 1
        except Exception as error:  # a crash is a failure of this vector, not of the run
            report(vector["id"], error if isinstance(error, Failure) else repr(error))
    return passed, len(content["vectors"])
