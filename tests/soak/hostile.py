#!/usr/bin/env python3
"""Measures what hostile captures cost `tlscope read`: memory, processor time, and what is said of them.

usage: tests/soak/hostile.py [--json FILE] TLSCOPE [INPUT ...]
       tests/soak/hostile.py --write INPUT FILE

Without INPUT, all inputs are measured; `--list` names them. Each is made here, so that nothing has to be kept, and streamed to `tlscope read -`
unless tlscope has to open a file. A line of the output has the name, the size of the input, peak resident memory, user time, and
facts of the last line of JSON (`stats`) or of the events. `--write` writes an input to a file instead, to look at it or to run another command.

Memory and time are those of the process (wait4), so run it on a release build. Needs Python 3.10 or later, and `openssl` for keys.
"""
import argparse
import collections
import functools
import gzip
import hashlib
import json
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading

# Packets

CLIENT, SERVER = bytes([10, 0, 0, 1]), bytes([192, 0, 2, 10])
SYN, ACK, PUSH, FIN, RST = 2, 16, 24, 17, 4
START = 1_772_366_400
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, 1)
ETHERNET = bytes(6) + b"\x02" * 6 + b"\x08\x00"


def tcp(source, target, ports, sequence, acknowledgment, flags, data=b"", ttl=64, window=64_000):
    sequence, acknowledgment = sequence & 0xFFFFFFFF, acknowledgment & 0xFFFFFFFF
    header = struct.pack(">HHIIBBHHH", *ports, sequence, acknowledgment, 0x50, flags, window, 0, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0x4000, ttl, 6, 0, source, target)
    return ETHERNET + ip + header + data


class Capture:
    """Writes a pcap; the clock advances a little with each packet."""

    def __init__(self, output, step=1):
        self.output, self.step, self.now, self.size = output, step, 0, 0
        self.raw(PCAP_HEADER)

    def raw(self, data):
        self.size += len(data)
        self.output.write(data)

    def packet(self, frame, after=None):
        self.now += self.step if after is None else after
        self.raw(struct.pack("<IIII", START + self.now // 1_000_000, self.now % 1_000_000, len(frame), len(frame)) + frame)


class Connection:
    """A TCP connection of which both ends are played."""

    def __init__(self, capture, number, server=SERVER, port=443):
        self.capture, self.server = capture, server
        self.client, self.ports = address(number), [40_000, port]
        self.next = {"c": 1_000, "s": 5_000}

    def frame(self, side, flags, data=b"", sequence=None, acknowledgment=None, ttl=64):
        other = "s" if side == "c" else "c"
        ends = [self.client, self.server] if side == "c" else [self.server, self.client]
        ports = self.ports if side == "c" else self.ports[::-1]
        sequence = self.next[side] if sequence is None else sequence
        if acknowledgment is None:
            acknowledgment = self.next[other] if flags & ACK else 0
        return tcp(*ends, ports, sequence, acknowledgment, flags, data, ttl)

    def open(self):
        self.capture.packet(self.frame("c", SYN))
        self.next["c"] += 1
        self.capture.packet(self.frame("s", SYN | ACK))
        self.next["s"] += 1
        self.capture.packet(self.frame("c", ACK))
        return self

    def say(self, side, data, size=1_400, after=None, reverse=False, ttl=64):
        """Sends data in segments of `size` bytes, backwards if `reverse`."""
        begin, parts = self.next[side], range(0, len(data), size)
        for at in reversed(parts) if reverse else parts:
            self.capture.packet(self.frame(side, PUSH, data[at:at + size], sequence=begin + at, ttl=ttl), after)
        self.next[side] = begin + len(data)

    def forge(self, side, flags, data=b"", **numbers):
        """A packet that neither end sent: nothing changes for them."""
        self.capture.packet(self.frame(side, flags, data, **numbers))

    def close(self):
        for side in "cs":
            self.capture.packet(self.frame(side, FIN))
            self.next[side] += 1


def address(number):
    return struct.pack(">I", (10 << 24) + number)


# TLS

def record(kind, data, version=b"\x03\x03"):
    parts = [data[at:at + 16_000] for at in range(0, len(data), 16_000)]
    return b"".join(bytes([kind]) + version + struct.pack(">H", len(part)) + part for part in parts)


def message(kind, body):
    return bytes([kind]) + struct.pack(">I", len(body))[1:] + body


def extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def vector(data, width=2):
    return struct.pack(">I", len(data))[4 - width:] + data


def hello(name="www.example.org", extensions=b"", version13=False):
    body = b"" if name is None else extension(0, vector(b"\0" + vector(name if isinstance(name, bytes) else name.encode())))
    body += extension(10, vector(b"\0\x1d\0\x17")) + extension(13, vector(b"\x04\x03\x08\x04\x04\x01")) + extensions
    if version13:
        body += extension(43, b"\x04\x03\x04\x03\x03") + extension(51, vector(b"\0\x1d" + vector(bytes(32))))
    return record(22, message(1, b"\x03\x03" + hashlib.sha256(body).digest() + b"\0" + vector(b"\x13\x01\xc0\x2b\xc0\x2f") + b"\x01\0" + vector(body)), b"\x03\x01")


TINY_HELLO = record(22, message(1, b"\x03\x03" + b"\x07" * 32 + b"\0" + vector(b"\x13\x01") + b"\x01\0"), b"\x03\x01")
SERVER_HELLO = message(2, b"\x03\x03" + b"\x08" * 32 + b"\0\xc0\x2b\0" + vector(extension(65281, b"\0")))
SERVER_HELLO_13 = message(2, b"\x03\x03" + b"\x08" * 32 + b"\0\x13\x01\0" + vector(extension(43, b"\x03\x04") + extension(51, b"\0\x1d" + vector(bytes(32)))))
DONE = message(14, b"")
CLIENT_FLIGHT = record(22, message(16, b"\x20" + bytes(32))) + record(20, b"\x01") + record(22, bytes(40))
SERVER_FINISH = record(20, b"\x01") + record(22, bytes(40))
DATA = record(23, bytes(100))


def alert(number, level=2):
    return record(21, bytes([level, number]))


def flight(chain):
    certificates = b"".join(vector(der, 3) for der in chain)
    return record(22, SERVER_HELLO) + record(22, message(11, vector(certificates, 3))) + record(22, DONE)


def ordinary(connection, chain=None, name="www.example.org", size=1_400, refuse=None):
    """A whole TLS 1.2 handshake."""
    connection.open()
    connection.say("c", hello(name))
    connection.say("s", flight(chain or [leaf()]), size)
    if refuse is not None:
        connection.say("c", alert(refuse))
    else:
        connection.say("c", CLIENT_FLIGHT)
        connection.say("s", SERVER_FINISH)
        connection.say("c", DATA)
        connection.say("s", DATA)
    connection.close()


# Certificates

def der(tag, *parts):
    body = b"".join(parts)
    length = len(body)
    size = bytes([length]) if length < 0x80 else (lambda n: bytes([0x80 + len(n)]) + n)(length.to_bytes((length.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body


def oid(text):
    first, second, *rest = map(int, text.split("."))
    body = bytes([40 * first + second])
    for number in rest:
        part = [number & 0x7F]
        while number := number >> 7:
            part.insert(0, 0x80 | number & 0x7F)
        body += bytes(part)
    return der(6, body)


def name(text):
    return der(0x30, der(0x31, der(0x30, oid("2.5.4.3"), der(12, text if isinstance(text, bytes) else text.encode()))))


@functools.cache
def public_key(curve):
    key = subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout"], check=True, capture_output=True).stdout
    return subprocess.run(["openssl", "ec", "-pubout", "-outform", "DER"], input=key, check=True, capture_output=True).stdout


NUMBERS = random.Random(1)


def certificate(subject, issuer=None, curve="prime256v1", names=(), constraints=(), ca=False):
    """A certificate whose signature is none."""
    algorithm = der(0x30, oid("1.2.840.10045.4.3.3" if curve == "secp384r1" else "1.2.840.10045.4.3.2"))
    extensions = b""
    if ca:
        extensions += der(0x30, oid("2.5.29.19"), der(1, b"\xff"), der(4, der(0x30, der(1, b"\xff"))))
    if names:
        extensions += der(0x30, oid("2.5.29.17"), der(4, der(0x30, *(der(0x82, text if isinstance(text, bytes) else text.encode()) for text in names))))
    if constraints:
        subtrees = [der(0x30, der(0x82, text.encode())) for text in constraints]
        extensions += der(0x30, oid("2.5.29.30"), der(4, der(0x30, der(0xA0, *subtrees))))
    body = der(
        0x30, der(0xA0, der(2, b"\x02")), der(2, NUMBERS.getrandbits(62).to_bytes(8, "big")), algorithm, name(issuer or subject),
        der(0x30, der(23, b"250101000000Z"), der(23, b"350101000000Z")), name(subject), public_key(curve), *([der(0xA3, der(0x30, extensions))] if extensions else []),
    )
    length = 48 if curve == "secp384r1" else 32
    number = lambda: der(2, b"\x5a" + NUMBERS.randbytes(length - 1))
    return der(0x30, body, algorithm, der(3, b"\0", der(0x30, number(), number())))


@functools.cache
def leaf():
    return certificate("www.example.org", issuer="Example CA", names=["www.example.org"])


# pcapng

def block(kind, body):
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def option(kind, value):
    return struct.pack("<HH", kind, len(value)) + value + bytes(-len(value) % 4)


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(name=None, link=1):
    return block(1, struct.pack("<HHI", link, 0, 0) + (option(2, name.encode()) if name else b""))


def enhanced(number, frame):
    return block(6, struct.pack("<IIIII", number, 0, 1, len(frame), len(frame)) + frame)


# Inputs. A function writes one; its attributes say how it is run, and what is asked of the result.

INPUTS = {}


def measured(section, what, arguments=(), facts=(), suffix=None, title=None):
    """Registers a function that writes an input: a pcap through a pipe, or a file with this suffix."""
    def register(write):
        key = title or write.__name__.replace("_", "-")
        INPUTS[key] = {"section": section, "what": what, "arguments": list(arguments), "facts": facts, "suffix": suffix, "write": write}
        return write
    return register


FLOOD_FACTS = ("handshakes", "handshakes_succeeded", "handshakes_not_judged", "connections_evicted")


@measured(1, "the same with --save-failures", ["--save-failures", "{scratch}"], FLOOD_FACTS, title="minimal-hellos-saved")
@measured(1, "1 M flows, one packet with a 45-byte ClientHello each", facts=FLOOD_FACTS)
def minimal_hellos(output):
    capture = Capture(output, step=4)
    for number in range(1_000_000):
        capture.packet(tcp(address(number), SERVER, [40_000, 443], 1_001, 1, PUSH, TINY_HELLO))


@measured(1, "1.5 M flows, SYN and a ClientHello of 245 bytes", facts=FLOOD_FACTS)
def syns_and_hellos(output):
    capture, data = Capture(output), padded_hello(245)
    for number in range(1_500_000):
        capture.packet(tcp(address(number), SERVER, [40_000, 443], 1_000, 0, SYN))
        capture.packet(tcp(address(number), SERVER, [40_000, 443], 1_001, 1, PUSH, data))


def padded_hello(length):
    short = len(hello())
    return hello(extensions=extension(21, bytes(length - short - 4)))


def half_open(count, output):
    capture, data = Capture(output, step=4), padded_hello(245)
    for number in range(count):
        capture.packet(tcp(address(number), SERVER, [40_000, 443], 1_001, 1, PUSH, data))
    for number in range(1_000):
        ordinary(Connection(capture, 0x800000 + number, server=bytes([198, 51, 100, 2])))


measured(1, "400,000 half-open, then 1,000 ordinary handshakes elsewhere", facts=FLOOD_FACTS, title="half-open-400000")(functools.partial(half_open, 400_000))
measured(1, "the same, 100,000 half-open", facts=FLOOD_FACTS, title="half-open-100000")(functools.partial(half_open, 100_000))


def held(ahead, output):
    """Connections whose servers send segments of which each waits, and between them ordinary handshakes with two segments swapped."""
    capture, data = Capture(output, step=4), hello()
    late = []
    for number in range(20_000):
        connection = Connection(capture, number).open()
        connection.say("c", data)
        for place in range(16):
            connection.forge("s", PUSH, bytes(1_400), sequence=connection.next["s"] + ahead + 1_400 * place)
        if number % 20:
            continue
        connection = Connection(capture, 0x800000 + number, server=bytes([198, 51, 100, 2])).open()
        connection.say("c", data)
        parts = flight([leaf(), bytes(1_000)])
        begin = connection.next["s"]
        capture.packet(connection.frame("s", PUSH, parts[900:], sequence=begin + 900))
        late.append((connection, parts))
        if len(late) > 5:
            connection, parts = late.pop(0)
            connection.say("s", parts[:900])
            connection.next["s"] += len(parts) - 900
            connection.say("c", CLIENT_FLIGHT)
            connection.say("s", SERVER_FINISH)
            connection.say("c", DATA)
            connection.say("s", DATA)
            connection.close()


HELD_FACTS = (*FLOOD_FACTS, "segments_discarded", "segments_out_of_window")
measured(1, "20,000 flows with 16 segments behind a hole each; 995 ordinary handshakes between them with two segments swapped", facts=HELD_FACTS, title="held-segments")(functools.partial(held, 100))
measured(1, "the same with numbers out of every window", facts=HELD_FACTS, title="held-suspects")(functools.partial(held, 3_000_000_000))


def long_hellos(count, output):
    capture, data = Capture(output), hello(extensions=extension(16, vector(b"\x01x" * 30_000)))
    for number in range(count):
        connection = Connection(capture, number)
        connection.say("c", data, 16_000)


for count in (1_000, 2_000, 3_000):
    what = f"{count:,} hellos of 60 KB with 30,000 one-byte ALPN names"
    measured(1, what, facts=(*FLOOD_FACTS, "values_omitted"), title=f"long-hellos-{count}")(functools.partial(long_hellos, count))


@measured(1, "1,500 half Certificate messages of 200 KB", facts=FLOOD_FACTS)
def half_certificates(output):
    capture = Capture(output)
    for number in range(1_500):
        connection = Connection(capture, number).open()
        connection.say("c", hello())
        body = vector(vector(NUMBERS.randbytes(399_000), 3), 3)
        connection.say("s", (record(22, SERVER_HELLO) + record(22, message(11, body)))[:200_000], 16_000)


@measured(1, "1,000 whole chains of 300 KB, distinct, open", facts=FLOOD_FACTS)
def whole_chains(output):
    capture = Capture(output)
    for number in range(1_000):
        connection = Connection(capture, number).open()
        connection.say("c", hello())
        connection.say("s", flight([NUMBERS.randbytes(3_000) for _ in range(100)])[:-9], 16_000)


@measured(1, "2,000 flows with 640 KB out of order each", facts=(*FLOOD_FACTS, "segments_discarded"))
def out_of_order(output):
    capture, data = Capture(output), NUMBERS.randbytes(640_000)
    for number in range(2_000):
        connection = Connection(capture, number).open()
        connection.say("c", hello())
        connection.next["s"] += 1_000  # the first thousand bytes never come
        connection.say("s", data, 16_000)


# Section 2: one forged packet against a whole TLS 1.2 handshake.

FORGED_FACTS = ("segments_out_of_window", "conflicting_bytes", "gap_bytes")


def forged(what, before="", version13=False):
    """Registers a function that is called between the client's hello and the server's flight."""
    def register(act):
        def write(output):
            capture = Capture(output, step=100_000)
            connection = Connection(capture, 1).open()
            connection.say("c", hello("example.org", version13=version13))
            if before == "flight":
                connection.say("s", record(22, SERVER_HELLO_13) + record(20, b"\x01") + b"".join(record(23, bytes(length)) for length in (23, 900, 281, 53)) if version13 else flight([leaf()]))
            if act(connection) == "stop":
                return
            if before != "flight":
                connection.say("s", flight([leaf()]))
            if version13:
                connection.say("c", record(20, b"\x01") + record(23, bytes(53)) + record(23, bytes(90)))
                connection.say("s", record(23, bytes(250)) + record(23, bytes(250)) + record(23, bytes(800)))
            else:
                connection.say("c", CLIENT_FLIGHT)
                connection.say("s", SERVER_FINISH)
            connection.say("c", DATA)
            connection.say("s", DATA)
            connection.close()
        measured(2, what, facts=("verdicts", *FORGED_FACTS), title=act.__name__.replace("_", "-"))(write)
        return act
    return register


@forged("RST, sequence number 3·10⁹ off")
def forged_rst(connection):
    connection.forge("s", RST, sequence=connection.next["s"] + 3_000_000_000)


@forged("RST of the client, as bad, before a TLS 1.3 client flight", before="flight", version13=True)
def forged_rst_13(connection):
    connection.forge("c", RST, sequence=connection.next["c"] + 3_000_000_000)


@forged("SYN with another sequence number, unanswered")
def forged_syn(connection):
    connection.forge("c", SYN, sequence=3_000_000_000)


@forged("SYN with another sequence number, unanswered; then a refusal", before="flight")
def forged_syn_refusal(connection):
    connection.forge("c", SYN, sequence=3_000_000_000)
    connection.say("c", alert(48))
    connection.close()
    return "stop"


@forged("SYN-ACK that acknowledges nothing")
def forged_syn_ack(connection):
    connection.forge("s", SYN | ACK, sequence=3_000_000_000, acknowledgment=77)


@forged("segment with an alert, acknowledgment 2 MB beyond all that was sent")
def forged_acknowledgment_of_alert(connection):
    connection.forge("s", PUSH, alert(48), acknowledgment=connection.next["c"] + 2_000_000)


@forged("ACK 300,000 bytes beyond")
def forged_acknowledgment(connection):
    connection.forge("s", ACK, acknowledgment=connection.next["c"] + 300_000)


@forged("alert 50 MB ahead of the window")
def forged_ahead(connection):
    connection.forge("s", PUSH, alert(48), sequence=connection.next["s"] + 50_000_000)


@forged("same bytes twice, different (alert hidden behind)", before="flight")
def conflict(connection):
    connection.forge("c", PUSH, CLIENT_FLIGHT[:7])
    connection.say("c", alert(48))
    connection.close()
    return "stop"


@forged("alert with TTL 1 first, at the right sequence number")
def race(connection):
    connection.forge("s", PUSH, alert(48), ttl=1)


@forged("alert in two records of one byte", before="flight")
def split_alert(connection):
    connection.say("c", record(21, b"\x02") + record(21, b"\x30"))
    connection.close()
    return "stop"


@forged("FIN with a bad sequence number", before="flight")
def forged_fin(connection):
    connection.forge("s", FIN, sequence=connection.next["s"] + 3_000_000_000)


@forged("FIN of a byte that was received before, TLS 1.3", before="flight", version13=True)
def forged_fin_of_the_past(connection):
    connection.forge("c", FIN, sequence=connection.next["c"] - 1)


@forged("100 warnings, then unknown_ca", before="flight")
def warnings(connection):
    connection.say("c", alert(90, level=1) * 100 + alert(48))
    connection.close()
    return "stop"


@measured(2, "RST within the window, not of the next byte, before the ClientHello", facts=("verdicts", *FORGED_FACTS))
def forged_rst_before_hello(output):
    capture = Capture(output, step=10_000)
    connection = Connection(capture, 1).open()
    connection.forge("s", RST, sequence=connection.next["s"] + 1_000)
    connection.say("c", hello("example.org"))
    connection.say("s", flight([leaf()]))
    connection.say("c", CLIENT_FLIGHT)
    connection.say("s", SERVER_FINISH)
    connection.say("c", DATA)
    connection.say("s", DATA)
    connection.close()


def after_plain_text(glued, output):
    capture = Capture(output, step=100_000)
    connection = Connection(capture, 1, port=7_777).open()
    connection.say("s", b"220 ready\r\n")
    connection.say("c", b"HELO\r\n")
    connection.say("s", b"250 ok\r\n")
    text, data = b"START\r\n", hello("example.org")
    if glued:
        connection.say("c", text + data)
    else:
        connection.say("c", text)
        connection.say("s", b"220 go\r\n")
        connection.say("c", data[:6], 3)
        connection.say("c", data[6:])
    connection.say("s", flight([leaf()]))
    connection.say("c", CLIENT_FLIGHT)
    connection.say("s", SERVER_FINISH)
    connection.say("c", DATA)
    connection.close()


measured(2, "first 6 bytes of the ClientHello in 3-byte segments after plain text", facts=("verdicts",), title="split-hello")(functools.partial(after_plain_text, False))
measured(2, "ClientHello glued to the plain text before it", facts=("verdicts",), title="glued-hello")(functools.partial(after_plain_text, True))


# Section 3

def chains(output, count, curve, chain_of):
    capture = Capture(output, step=10)
    for number in range(count):
        ordinary(Connection(capture, number), chain_of(number, curve), size=16_000, refuse=42)


def self_issued(number, curve):
    return [certificate(f"self {number} {place}", curve=curve) for place in range(99)]


def path(number, curve):
    subjects = [f"path {number} {place}" for place in range(100)]
    return [certificate(subject, issuer=issuer, curve=curve, ca=True) for subject, issuer in zip(subjects, subjects[1:])]


CPU_FACTS = ("handshakes", "chains_judged", "signatures_skipped")


@measured(3, "300 chains of 99 distinct P-256 certificates, issuer = subject", ["--verify"], CPU_FACTS)
def self_issued_p256(output):
    chains(output, 300, "prime256v1", self_issued)


@measured(3, "the same with --no-verify", [], CPU_FACTS, title="self-issued-p384-unverified")
@measured(3, "100 chains of 99 P-384 ones", ["--verify"], CPU_FACTS)
def self_issued_p384(output):
    chains(output, 100, "secp384r1", self_issued)


@measured(3, "300 chains of 99 that lead from one to the next", ["--verify"], CPU_FACTS)
def paths(output):
    chains(output, 300, "prime256v1", path)


@measured(3, "300 times the same 99 P-384 issuers, another leaf", ["--verify"], CPU_FACTS)
def same_issuers(output):
    issuers = self_issued(0, "secp384r1")[1:]
    chains(output, 300, "secp384r1", lambda number, curve: [certificate(f"leaf {number}", curve=curve), *issuers])


@measured(3, "100 handshakes with 10,000 SANs", ["--verify"], CPU_FACTS)
def many_names(output):
    shown = lambda number, _: [certificate(f"names {number}", issuer="CA", names=[f"n{number}-{place}.example" for place in range(10_000)])]
    chains(output, 100, "", shown)


@measured(3, "50 handshakes with 4,000 name constraints × 4,000 SANs", ["--verify"], CPU_FACTS)
def name_constraints(output):
    def shown(number, _):
        issuer = certificate(f"constrained {number}", ca=True, constraints=[f"c{place}.example" for place in range(4_000)])
        return [certificate(f"names {number}", issuer=f"constrained {number}", names=[f"n{place}.example" for place in range(4_000)]), issuer]
    chains(output, 50, "", shown)


def many_certificates(count, output):
    capture = Capture(output, step=10)
    template = certificate("certificate number 0000000", issuer="CA", names=["host-0000000.example.org"])
    for number in range(count):
        shown = template.replace(b"0000000", b"%07d" % number)
        ordinary(Connection(capture, number), [shown], name=f"host-{number:07}.example.org", refuse=42 if number % 4 == 0 else None)


for style in ("json", "csv", "summary", "table", "certs"):
    what = f"200,000 distinct certificates, names and SNIs, --format {style}"
    measured(3, what, ["--verify", "--format", style], CPU_FACTS, title=f"distinct-{style}")(functools.partial(many_certificates, 200_000))


@measured(3, "20 × 100 KB of records of one byte", facts=CPU_FACTS)
def tiny_records(output):
    capture = Capture(output, step=10)
    for number in range(20):
        connection = Connection(capture, number).open()
        connection.say("c", hello())
        connection.say("s", b"".join(record(22, bytes([byte])) for byte in (SERVER_HELLO + message(11, vector(vector(bytes(90_000), 3), 3)))[:16_700]))


def tiny_segments(is_descending, output):
    capture = Capture(output)
    for number in range(20):
        connection = Connection(capture, number).open()
        connection.say("c", hello())
        data = flight([bytes(9_000)])
        if is_descending:
            connection.say("s", data, 1, reverse=True)
        else:
            begin = connection.next["s"]
            places = [*range(1, len(data), 2), *range(0, len(data), 2)]
            for at in places:
                capture.packet(connection.frame("s", PUSH, data[at:at + 1], sequence=begin + at))


measured(3, "segments of one byte, descending, 20 × 9 KB", facts=CPU_FACTS, title="segments-descending")(functools.partial(tiny_segments, True))
measured(3, "segments of one byte, each second one first, 20 × 9 KB", facts=CPU_FACTS, title="segments-alternating")(functools.partial(tiny_segments, False))


@measured(3, "slowloris: 50,000 flows, 40 bytes each, one by one", facts=FLOOD_FACTS)
def slowloris(output):
    capture, data = Capture(output, step=1), hello()
    for place in range(40):
        for number in range(50_000):
            capture.packet(tcp(address(number), SERVER, [40_000, 443], 1_001 + place, 1, PUSH, data[place:place + 1]))


# Section 4

@measured(4, "65,000 distinct interfaces", facts=("packets",), suffix=".pcapng")
def interfaces(output):
    output.write(SECTION)
    for number in range(65_000):
        output.write(interface(f"interface-{number}"))
    output.write(enhanced(0, tcp(CLIENT, SERVER, [1, 443], 1, 1, ACK)))


@measured(4, "4 M interface descriptions in 62 sections", facts=("packets",), suffix=".pcapng")
def descriptions(output):
    for _ in range(62):
        output.write(SECTION + interface("eth0") * 65_000)


@measured(4, "500,000 sections", facts=("packets",), suffix=".pcapng")
def sections(output):
    for _ in range(50):
        output.write((SECTION + interface("eth0")) * 10_000)


@measured(4, "31 M options", facts=("packets",), suffix=".pcapng")
def options(output):
    output.write(SECTION + interface("eth0"))
    for _ in range(31):
        output.write(block(1, struct.pack("<HHI", 1, 0, 0) + option(99, b"") * 1_000_000))


@measured(4, "4 M unknown blocks", facts=("packets",), suffix=".pcapng")
def unknown_blocks(output):
    output.write(SECTION + interface("eth0"))
    for _ in range(40):
        output.write(block(0x0BAD, b"") * 100_000)


@measured(4, "3 M secrets", facts=("packets",), suffix=".pcapng")
def secrets(output):
    output.write(SECTION + interface("eth0"))
    for number in range(3_000):
        lines = b"".join(b"CLIENT_RANDOM %064x %s\n" % (number * 1_000 + line, b"5a" * 48) for line in range(1_000))
        output.write(block(10, struct.pack("<II", 0x544C534B, len(lines)) + lines))


@measured(4, "320 MB of garbage for secrets", facts=("packets",), suffix=".pcapng")
def garbage_secrets(output):
    output.write(SECTION + interface("eth0"))
    lines = b"not a secret at all\n" * 50_000
    for _ in range(320):
        output.write(block(10, struct.pack("<II", 0x544C534B, len(lines)) + lines))


def bomb(output, compress):
    """A capture of a billion bytes, nearly all of them zeros in blocks of an unknown kind."""
    body = bytes(1_000_000 - 12)
    compress.write(SECTION + interface("eth0"))
    for _ in range(1_000):
        compress.write(block(0x0BAD, body))
    compress.close()


@measured(4, "gzip of 1 GB from 1 MB", facts=("packets",), suffix=".pcapng.gz")
def gzip_bomb(output):
    bomb(output, gzip.GzipFile(fileobj=output, mode="wb"))


@measured(4, "xz of 1 GB", facts=("packets",), suffix=".pcapng.xz")
def xz_bomb(output):
    bomb(output, lzma.LZMAFile(output, "wb", preset=0))


@measured(4, "xz whose dictionary is 1.5 GB", facts=("packets",), suffix=".pcapng.xz")
def xz_dictionary(output):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1_500 << 20}]
    bomb_of = lzma.LZMAFile(output, "wb", filters=filters)
    bomb_of.write(SECTION + interface("eth0") + block(0x0BAD, bytes(1_000_000)))
    bomb_of.close()


@measured(4, "zstd of 1 GB with a window of 1 GB", facts=("packets",), suffix=".pcapng.zst")
def zstd_bomb(output):
    process = subprocess.Popen(["zstd", "--quiet", "--ultra", "--long=30", "-3", "-c"], stdin=subprocess.PIPE, stdout=output)
    bomb(output, process.stdin)
    process.wait()


@measured(4, "a folder of 48 xz captures of the same time, each with a dictionary of 64 MiB that it fills", facts=("packets",), suffix="/")
def xz_folder(folder):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 << 20}]
    start, zeros = SECTION + interface("eth0"), block(0x0BAD, bytes(1 << 20))
    packets = b"".join(block(6, struct.pack("<IIIII", 0, *divmod((START + second) * 1_000_000, 1 << 32), 60, 60) + bytes(60)) for second in range(3))
    data = lzma.compress(start + zeros * 64 + packets, filters=filters)
    for number in range(48):
        with open(os.path.join(folder, f"{number:03}.pcapng.xz"), "wb") as output:
            output.write(data)


@measured(4, "fragments: 512 datagrams × 128 pieces, all but the last of each", facts=("fragments", "fragments_discarded"))
def fragments(output):
    capture = Capture(output)
    for number in range(512 * 128):
        datagram, piece = number % 512, number // 512
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 504, datagram, 0x2000 | piece * 63, 64, 17, 0, CLIENT, SERVER)
        capture.packet(ETHERNET + ip + bytes(504))


@measured(4, "200,000 first fragments", facts=("fragments", "fragments_discarded"))
def first_fragments(output):
    capture = Capture(output)
    for number in range(200_000):
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 1_400, number % 65_536, 0x2000, 64, 17, 0, address(number), SERVER)
        capture.packet(ETHERNET + ip + bytes(1_400))


# Section 5

HOSTILE = [
    b"\x1b[31mred\x1b[0m", b"\x9b31m", b"a\nb", b"a\r\nb", b"::error file=x::y", b"=cmd|' /C calc'!A0", b"+1+1", b"-2+3", b"@SUM(1)", b'{"a":1}', b"\\\"", b"<script>alert(1)</script>",
    b"&amp;", b"]]>", b'x="y"', b"a{b=\"c\"} 1", "\u202egnp.exe".encode(), "\u2066x\u2069".encode(), "a\u200bb".encode(), "a\u200db".encode(), "\ufeffa".encode(), "a\u2028b".encode(), "a\u2029b".encode(),
    "\U000e0041".encode(), "\u009b31m".encode(), b"\xff\xfe", b"a\0b", b"../../etc/passwd", b"C:\\x", b"%s%n", b"a,b;c", b"`id`", b"x" * 60_000,
]


def hostile_names(output):
    capture = Capture(output, step=1_000)
    for number, text in enumerate(HOSTILE):
        connection = Connection(capture, number).open()
        alpn = vector(text[:255], 1)
        connection.say("c", hello(text, extension(16, vector(alpn))))
        shown = certificate(text, issuer=b"CA " + text, names=[text])
        answer = message(2, b"\x03\x03" + b"\x08" * 32 + b"\0\xc0\x2b\0" + vector(extension(16, vector(alpn))))
        connection.say("s", record(22, answer) + record(22, message(11, vector(vector(shown, 3), 3))) + record(22, DONE))
        connection.say("c", alert(42))
        connection.close()


for style in ("table", "rows", "summary", "certs", "csv", "json"):
    measured(5, f"33 hostile names in SNI, ALPN, subject and SAN, --format {style}", ["--format", style], ("hostile",), title=f"names-{style}")(hostile_names)
measured(5, "the same as metrics", ["--format", "summary", "--metrics", "stdout", "--metric-attributes", "server.address,tls.alpn,error.message"], ("hostile",), title="names-metrics")(hostile_names)


@measured(5, "200,000 names and certificates as metrics with server.address, remote.addr, error.message",
          ["--format", "summary", "--metrics", "stdout", "--metric-attributes", "server.address,remote.addr,error.message"], ("metrics",))
def cardinality(output):
    many_certificates(200_000, output)


# Measurement

def apart(write, *arguments):
    """Writes in a process of its own. The system counts what this one takes as memory of the programs that it starts."""
    if pid := os.fork():
        return pid
    try:
        write(*arguments)
    except BrokenPipeError:
        pass
    finally:
        os._exit(0)


class Counted:
    """Writes to a pipe, and the number of bytes to another one in the end."""

    def __init__(self, output, counter):
        self.output, self.counter, self.size = output, counter, 0

    def write(self, data):
        self.size += len(data)
        return self.output.write(data)

    def close(self):
        os.write(self.counter, str(self.size).encode())
        self.output.close()


def write_to_pipe(write, pipe, counter):
    counted = Counted(open(pipe, "wb", buffering=1 << 20), counter)
    write(counted)
    counted.close()


def write_to_file(write, path):
    with open(path, "wb") as output:
        write(output)


def measure(program, title):
    entry = INPUTS[title]
    write, suffix = entry["write"], entry["suffix"]
    with tempfile.TemporaryDirectory() as scratch:
        arguments = [text.format(scratch=scratch) for text in entry["arguments"] if text != "--verify"]
        if "--format" not in arguments:
            arguments += ["--format", "json"]
        if "--verify" not in entry["arguments"]:
            arguments.append("--no-verify")
        source = "-"
        if suffix:
            source = os.path.join(scratch, "captures" if suffix == "/" else "input" + suffix)
            if suffix == "/":
                os.mkdir(source)
            pid = apart(write, source) if suffix == "/" else apart(write_to_file, write, source)
            os.waitpid(pid, 0)
            files = [os.path.join(source, file) for file in os.listdir(source)] if suffix == "/" else [source]
            size = sum(os.path.getsize(file) for file in files)
        command = [program, "read", source, *arguments]
        printed, errors = (open(os.path.join(scratch, name), "w+b") for name in ("stdout", "stderr"))
        reader, writer = os.pipe()
        counter_reader, counter = os.pipe()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL if suffix else reader, stdout=printed, stderr=errors)
        os.close(reader)
        pid = None if suffix else apart(write_to_pipe, write, writer, counter)
        os.close(writer)
        os.close(counter)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if pid:
            os.waitpid(pid, 0)
            size = int(os.read(counter_reader, 100) or 0)
        os.close(counter_reader)
        errors.seek(0)
        printed.seek(0)
        result = {
            "input": title, "section": entry["section"], "what": entry["what"], "mb": round(size / 1e6, 1), "exit": process.returncode, "rss_mib": round(usage.ru_maxrss / 1024),
            "user_s": round(usage.ru_utime, 1), "stderr": errors.read().decode("utf-8", "replace").strip().splitlines()[:3], "arguments": entry["arguments"],
        }
        if entry["facts"]:
            result["facts"] = facts(printed, entry["facts"])
    return result


def facts(printed, wanted):
    if "hostile" in wanted:
        data = printed.read()
        text = data.decode("utf-8", "strict")
        bad = [c for c in text if (ord(c) < 32 and c not in "\n\t\r") or 0x7F <= ord(c) < 0xA0 or c in "\u200b\u200d\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029" or 0xE0000 <= ord(c) < 0xE0080]
        return {"unsafe characters": len(bad), "longest line": max(map(len, text.splitlines())), "cells like formulas": sum(cell[:1] in ("=", "+", "-", "@") for line in text.splitlines() for cell in line.split(","))}
    if "metrics" in wanted:
        lines = [line for line in printed.read().decode().splitlines() if "{" in line and not line.startswith("#")]
        total = sum(len(line) + 1 for line in lines)
        series = collections.Counter(line.split("{")[0] for line in lines)
        return {"series": len(lines), "scrape MB": round(total / 1e6, 1), "most": series.most_common(3)}
    verdicts, stats = [], {}
    for line in printed:
        if "verdicts" in wanted and line.startswith(b'{"type":"handshake"'):
            event = json.loads(line)
            error = event.get("error") or {}
            verdict = [event["outcome"], error.get("type"), event.get("confidence"), event["tls"].get("server_name"), f"{event.get('closed_by') or ''}"]
            verdicts.append(" ".join(str(part) for part in verdict if part not in (None, "")))
        if line.startswith(b'{"type":"stats"'):
            stats = json.loads(line)
    found = {name: stats[name] for name in wanted if name in stats}
    return found | ({"verdicts": verdicts} if "verdicts" in wanted else {})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="name the inputs")
    parser.add_argument("--write", metavar="INPUT", help="write this input to the file that follows")
    parser.add_argument("--json", metavar="FILE", help="append the results to this file, too, a line each")
    parser.add_argument("program", nargs="?", metavar="TLSCOPE", help="the program to run, or the file to write")
    parser.add_argument("inputs", nargs="*", metavar="INPUT")
    options = parser.parse_args()
    if options.list:
        for title, entry in INPUTS.items():
            print(f"{entry['section']} {title:28} {entry['what']}")
        return 0
    if options.write:
        with open(options.program, "wb") as output:
            INPUTS[options.write]["write"](output)
        return 0
    program = shutil.which(options.program) or options.program
    chosen = [title for title, entry in INPUTS.items() if not options.inputs or title in options.inputs or str(entry["section"]) in options.inputs]
    for title in chosen:
        result = measure(program, title)
        failed = f" exit {result['exit']}" if result["exit"] else ""
        print(f"{result['section']} {title:28} {result['mb']:8.1f} MB {result['rss_mib']:6} MiB {result['user_s']:6.1f} s{failed}  {result.get('facts', '')} {result['stderr'] or ''}", flush=True)
        if options.json:
            with open(options.json, "a") as file:
                file.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
