"""The symbolon protocol, version 1: a second implementation, written from SPEC.md alone.

Everything here is sans-IO: no clock, no socket, no randomness.  Bytes and `now` (milliseconds) go in;
bytes, events and the time of the next timer come out.

    cbor        strict CBOR, as a check before cbor2           (SPEC §8.1)
    messages    the table of messages, decoding and encoding   (SPEC §8.2, §9)
    names       methods, topics, filters                       (SPEC §13)
    preamble    the eight bytes in clear                       (SPEC §3)
    identity    the proof of identity                          (SPEC §5.3)
    handshake   Noise XX and its payloads                      (SPEC §5)
    transport   one direction's key and nonce                  (SPEC §7)
    exchange    the state of one exchange, credit              (SPEC §10, §11)
    lanes       in which order messages leave                  (SPEC §12)
    calls       requests, answers, bodies in chunks            (SPEC §10)
    topics      subscriptions and publications                 (SPEC §14)
    session     all of it, once there are keys                 (SPEC §6-§17)
    peer        a connection on a byte stream                  (SPEC §3-§6)
    cobs, line  packets and sessions on a serial line          (SPEC §19)
"""
