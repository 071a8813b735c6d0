#!/usr/bin/env python3
"""Runs `tlscope live` for an hour amid real handshakes and floods, and accounts for each of them.

usage: sudo tests/soak/soak.py [--minutes 60] [--rate 25] [--limit 128M] [--flood 1] [--output DIR] TLSCOPE

Everything happens on the loopback interface of a network namespace of its own, so that nothing else is captured. TLS clients and
servers of Python and `openssl` connect all the time: with success, resumption, refusals by either side, resets, closes and silence.
Every three minutes, a flood is sent as raw packets: SYNs, half-open hellos, long hellos, unfinished flights of servers, plain text.

A client has an address of its own for each connection, so that each event is found by its address. At the end, the program prints
how each kind was judged, and fails (status 1) if

- a handshake was judged wrongly, or has no event although no packets were dropped,
- less than 99 % of the ordinary handshakes are judged, and judged as the client saw them: `unknown` and handshakes without an event count
  as not judged, whatever the cause, dropped packets included,
- the accounts do not add up: each connection is judged, `unknown` with a cause, without an event, or was never made,
- the memory of the process exceeded --limit, or was larger in the last round of floods than in the second one: it rises while each kind of flood
  comes for the first time, and is flat after that. Three rounds, which take 55 minutes, are needed to judge that.

What is measured: the peers' own view of each connection (a client's result, by its source address) against tlscope's event; packets that
the kernel, the interface or tlscope's queue dropped, as tlscope counts them; resident memory as /proc has it (VmRSS, and VmHWM at most).
What is not: connections that the client could not make, as the machine was busy, are left out and counted.

DIR gets `memory.csv` (a line every 5 seconds), `connections.csv` (what each client saw), `wrong.jsonl` (events that contradict that),
`stderr.txt` (what tlscope said) and `result.json`. Needs root, Python 3.10 or later, `openssl`, `ip` and `unshare`.
"""
import argparse
import collections
import csv
import hashlib
import json
import multiprocessing
import os
import queue
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request

PROMETHEUS = 9464
#: Seconds between two lines of memory.csv.
SAMPLE = 5
#: Seconds between the beginnings of two floods.
FLOOD_EVERY = 180
#: Seconds before the first one.
FIRST_FLOOD = 20
#: Packets a second within a flood.
FLOOD_RATE = 10_000
#: Seconds that a client waits for a server that does not answer.
PATIENCE = 3
NAME = "soak.example"
#: What a client may conclude, and what tlscope then may: (outcome, error types, side), or several of them.
#: Without keys, `unknown` is right for everything that TLS 1.3 hides, and is counted by cause.
SUCCESS = ("success", {None}, None)
REFUSED_BY_CLIENT = {"client_rejected_server"}
REFUSED_BY_SERVER = {"server_rejected_client"}

Kind = collections.namedtuple("Kind", "weight server version expected options", defaults=[{}])


def refused(side, *types):
    return ("failure", set(types), side)


#: What the alert alone shows about a refusal whose cause needs the certificate.
UNREFINED = {frozenset({"hostname_mismatch"}): {"bad_certificate"}}

KINDS = {
    "success-12": Kind(20, "plain", "1.2", SUCCESS),
    "success-13": Kind(24, "plain", "1.3", SUCCESS),
    "resumed-12": Kind(6, "plain", "1.2", SUCCESS, {"resume": True}),
    "resumed-13": Kind(6, "plain", "1.3", SUCCESS, {"resume": True}),
    "mutual-12": Kind(8, "mutual", "1.2", SUCCESS, {"certificate": "client"}),
    "mutual-13": Kind(8, "mutual", "1.3", SUCCESS, {"certificate": "client"}),
    "openssl": Kind(2, "openssl", None, SUCCESS, {"openssl": True}),
    "expired-12": Kind(3, "expired", "1.2", refused("client", "cert_expired")),
    "expired-13": Kind(3, "expired", "1.3", refused("client", "cert_expired", *REFUSED_BY_CLIENT)),
    "unknown-ca-12": Kind(3, "stranger", "1.2", refused("client", "unknown_ca")),
    "unknown-ca-13": Kind(3, "stranger", "1.3", refused("client", "unknown_ca", *REFUSED_BY_CLIENT)),
    "wrong-name-12": Kind(2, "plain", "1.2", refused("client", "hostname_mismatch"), {"name": "other.example"}),
    "no-certificate-12": Kind(3, "mutual", "1.2", refused("server", "missing_client_cert")),
    "no-certificate-13": Kind(3, "mutual", "1.3", refused("server", "missing_client_cert")),
    "stranger-12": Kind(2, "mutual", "1.2", refused("server", "unknown_ca"), {"certificate": "unknown"}),
    "stranger-13": Kind(2, "mutual", "1.3", refused("server", "unknown_ca", *REFUSED_BY_SERVER), {"certificate": "unknown"}),
    "version": Kind(2, "old", "1.3", refused("server", "protocol_mismatch")),
    "suites": Kind(2, "suites", "1.2", refused("server", "cipher_mismatch", "handshake_failure"), {"ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}),
    "server-resets": Kind(2, "resets", "1.3", refused("server", "connection_reset")),
    "server-closes": Kind(2, "closes", "1.3", refused("server", "connection_closed")),
    "server-silent": Kind(2, "silent", "1.3", refused("server", "no_server_hello", "handshake_timeout")),
    "client-resets": Kind(2, "plain", "1.2", refused("client", "connection_reset", "connection_closed", *REFUSED_BY_CLIENT), {"reset": True}),
}
SERVERS = ["plain", "mutual", "openssl", "expired", "stranger", "old", "suites", "resets", "closes", "silent"]
PORTS = {name: 20_000 + number for number, name in enumerate(SERVERS)}


# Certificates


def make_certificates(directory):
    """Two CAs; server certificates of both, and an expired one; client certificates of both."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", *key, "-days", "30", "-subj", f"/CN=Soak {ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    with open(os.path.join(directory, "names.cnf"), "w") as file:
        file.write(f"subjectAltName=DNS:{NAME}\n")
    for name, ca, days in [("server", "ca", "30"), ("expired", "ca", "-1"), ("stranger", "other-ca", "30"), ("client", "ca", "30"), ("unknown", "other-ca", "30")]:
        openssl("req", "-new", *key, "-subj", f"/CN={name}.{NAME}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        if days == "-1":
            # `openssl x509` of 3.0 has no option for a date in the past; `openssl ca` has.
            for file in ("index.txt", "index.txt.attr"):
                open(os.path.join(directory, file), "w").close()
            with open(os.path.join(directory, "ca.cnf"), "w") as file:
                file.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nrand_serial=yes\n[p]\ncommonName=supplied\n")
            dates = ["-startdate", "20250101000000Z", "-enddate", "20250201000000Z"]
            openssl("ca", "-batch", "-config", "ca.cnf", "-cert", f"{ca}.pem", "-keyfile", f"{ca}.key", "-in", f"{name}.csr", "-out", f"{name}.pem", "-notext", "-extfile", "names.cnf", *dates)
        else:
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", days, "-extfile", "names.cnf", "-out", f"{name}.pem")


def versions(context, version):
    exact = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}.get(version)
    if exact:
        context.minimum_version = context.maximum_version = exact
    return context


# Servers


def server_context(directory, name):
    certificate = name if name in ("expired", "stranger") else "server"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(directory, f"{certificate}.pem"), os.path.join(directory, f"{certificate}.key"))
    if name == "mutual":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(os.path.join(directory, "ca.pem"))
    if name == "old":
        versions(context, "1.2")
    if name == "suites":
        versions(context, "1.2")
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    return context


def serve(directory):
    """Runs all servers but that of `openssl`, until the process is ended."""
    for name in SERVERS:
        if name == "openssl":
            continue
        listener = socket.create_server(("127.0.0.1", PORTS[name]), backlog=512)
        context = server_context(directory, name)
        threading.Thread(target=accept, args=(listener, name, context), daemon=True).start()
    threading.Event().wait()


def accept(listener, name, context):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, name, context), daemon=True).start()


def answer(connection, name, context):
    try:
        connection.settimeout(2 * PATIENCE)
        if name in ("resets", "closes", "silent"):
            connection.recv(1)
            # The rest of the hello has arrived, too: data that are left unread would turn the close into a reset.
            connection.recv(1 << 16)
            if name == "resets":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if name == "silent":
                connection.recv(1)
            return
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            tls.unwrap()
    except OSError:
        pass
    finally:
        connection.close()


# Clients


class Clients:
    """Clients that connect at a steady rate; what each of them saw is a line of `connections.csv`."""

    def __init__(self, directory, rate, seconds, threads=24):
        self.directory, self.rate, self.seconds = directory, rate, seconds
        self.work = queue.Queue(maxsize=threads)
        self.contexts, self.sessions, self.lock = {}, {}, threading.Lock()
        self.file = open(os.path.join(directory, "connections.csv"), "w", newline="")
        self.csv = csv.writer(self.file)
        self.csv.writerow(["address", "kind", "time", "seen"])
        for _ in range(threads):
            threading.Thread(target=self.run_kinds, daemon=True).start()

    def run(self):
        chooser = random.Random(1)
        names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
        begin, number = time.monotonic(), 0
        while time.monotonic() < begin + self.seconds:
            number += 1
            self.work.put((number, chooser.choices(names, weights)[0]))
            time.sleep(max(0.0, begin + number / self.rate - time.monotonic()))
        for _ in range(2 * PATIENCE * 10):
            if self.work.unfinished_tasks == 0:
                break
            time.sleep(0.1)
        self.file.close()

    def run_kinds(self):
        while True:
            number, name = self.work.get()
            address = f"127.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
            started = time.time()
            try:
                seen = self.connect(address, name, KINDS[name])
            except (OSError, subprocess.SubprocessError) as error:
                seen = type(error).__name__ + ": " + str(error)
            with self.lock:
                self.csv.writerow([address, name, f"{started:.3f}", seen])
                self.file.flush()
            self.work.task_done()

    def context(self, name, kind):
        with self.lock:
            if name not in self.contexts:
                context = versions(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), kind.version)
                context.load_verify_locations(os.path.join(self.directory, "ca.pem"))
                if "certificate" in kind.options:
                    path = os.path.join(self.directory, kind.options["certificate"])
                    context.load_cert_chain(path + ".pem", path + ".key")
                if "ciphers" in kind.options:
                    context.set_ciphers(kind.options["ciphers"])
                self.contexts[name] = context
            return self.contexts[name]

    def connect(self, address, name, kind):
        if "openssl" in kind.options:
            return self.openssl(address, kind)
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        connection.bind((address, 0))
        try:
            connection.connect(("127.0.0.1", PORTS[kind.server]))
        except OSError as error:
            connection.close()
            return f"not connected: {error}"
        if "reset" in kind.options:
            return self.reset(connection, name, kind)
        resume = "resume" in kind.options
        session = self.sessions.get(name) if resume else None
        context = self.context(name, kind)
        with context.wrap_socket(connection, server_hostname=kind.options.get("name", NAME), session=session) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while tls.recv(4096):
                pass
            if resume:
                self.sessions[name] = tls.session
            return "resumed" if tls.session_reused else "success"

    def openssl(self, address, kind):
        command = ["openssl", "s_client", "-bind", f"{address}:0", "-connect", f"127.0.0.1:{PORTS[kind.server]}", "-servername", NAME, "-CAfile", "ca.pem", "-verify_return_error", "-quiet"]
        done = subprocess.run(command, cwd=self.directory, input=b"GET / HTTP/1.0\r\n\r\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=4 * PATIENCE)
        return "success" if done.returncode == 0 else f"status {done.returncode}"

    def reset(self, connection, name, kind):
        """A client that resets the connection once it has the server's flight."""
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context(name, kind).wrap_bio(received, sent, server_hostname=NAME)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        connection.sendall(sent.read())
        # Up to ServerHelloDone, the last four bytes.
        flight = b""
        while not flight.endswith(b"\x0e\x00\x00\x00"):
            part = connection.recv(1 << 16)
            if not part:
                break
            flight += part
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return "reset"


# Floods


class Flood:
    """Raw packets of very many connections, each of another address of 10.0.0.0/8, which nothing answers."""

    KINDS = ["hellos", "syns", "half-open", "plain", "answered", "long-hellos"]
    COUNTS = {"hellos": 30_000, "syns": 60_000, "half-open": 20_000, "plain": 30_000, "answered": 8_000, "long-hellos": 600}
    #: The kinds that hold a ClientHello, so that each connection has an event.
    WITH_HELLO = {"hellos", "half-open", "answered", "long-hellos"}
    SERVER = bytes([192, 0, 2, 10])

    def __init__(self, directory, factor):
        self.counts = {kind: int(count * factor) for kind, count in self.COUNTS.items()}
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind(("lo", 0))
        self.connections = 0
        self.hello, self.flight = flights(directory)
        self.due = time.monotonic()

    def send(self, kind):
        """Sends one flood, and returns how many connections it had."""
        self.due = time.monotonic()
        for _ in range(self.counts[kind]):
            self.connections += 1
            getattr(self, kind.replace("-", "_"))(struct.pack(">I", (10 << 24) + self.connections))
        return self.counts[kind]

    def syns(self, client):
        self.packet(client, True, 2, 1_000, 0)

    def hellos(self, client):
        self.packet(client, True, 24, 1_001, 5_001, self.hello)

    def plain(self, client):
        self.packet(client, True, 24, 1_001, 5_001, b"GET / HTTP/1.1\r\nHost: soak.example\r\n\r\n")

    def half_open(self, client):
        self.packet(client, True, 2, 1_000, 0)
        self.packet(client, False, 18, 5_000, 1_001)
        self.packet(client, True, 24, 1_001, 5_001, self.hello)

    def answered(self, client):
        self.half_open(client)
        self.packet(client, False, 24, 5_001, 1_001 + len(self.hello), self.flight)

    def long_hellos(self, client):
        names = b"\x01x" * 30_000
        extension = struct.pack(">HHH", 16, len(names) + 2, len(names)) + names
        body = b"\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00" + struct.pack(">H", len(extension)) + extension
        message = b"\x01" + struct.pack(">I", len(body))[1:] + body
        sequence = 1_001
        for start in range(0, len(message), 16_000):
            part = message[start:start + 16_000]
            record = b"\x16\x03\x01" + struct.pack(">H", len(part)) + part
            self.packet(client, True, 24, sequence, 5_001, record)
            sequence += len(record)

    def packet(self, client, from_client, flags, sequence, acknowledgment, data=b""):
        """One packet. Its checksums are zero, so that the kernel of this host ignores it."""
        ends = [client, self.SERVER] if from_client else [self.SERVER, client]
        ports = [40_000, 443] if from_client else [443, 40_000]
        tcp = struct.pack(">HHIIBBHHH", *ports, sequence, acknowledgment, 0x50, flags, 65_000, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0x4000, 64, 6, 0, *ends)
        self.due += 1 / FLOOD_RATE
        ahead = self.due - time.monotonic()
        if ahead > 0.01:
            time.sleep(ahead)
        self.socket.send(bytes(12) + b"\x08\x00" + ip + tcp + data)


def flights(directory):
    """The bytes of a ClientHello, and the first half of a server's TLS 1.2 flight."""
    client_in, client_out, server_in, server_out = (ssl.MemoryBIO() for _ in range(4))
    context = versions(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "1.2")
    client = context.wrap_bio(client_in, client_out, server_hostname="flood.example")
    server = server_context(directory, "plain").wrap_bio(server_in, server_out, server_side=True)
    hello = step(client, client_out)
    server_in.write(hello)
    flight = step(server, server_out)
    return hello, flight[:len(flight) // 2]


def step(tls, out):
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


# Observation


class Memory(threading.Thread):
    """Reads every five seconds what the process has in memory, and its own metrics."""

    GAUGES = ["tlscope_flows_open", "tlscope_handshakes_open", "tlscope_memory_bytes"]

    def __init__(self, pid, path):
        super().__init__(daemon=True)
        self.pid, self.path, self.rows, self.stop = pid, path, [], threading.Event()

    def run(self):
        begin = time.monotonic()
        with open(self.path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["seconds", "rss_kib", "peak_kib", "threads", "files", *self.GAUGES])
            while not self.stop.wait(SAMPLE):
                row = [round(time.monotonic() - begin), *self.status(), *self.metrics()]
                self.rows.append(row)
                writer.writerow(row)
                file.flush()

    def status(self):
        with open(f"/proc/{self.pid}/status") as file:
            text = file.read()
        fields = [int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1]) for name in ("VmRSS", "VmHWM", "Threads")]
        return [*fields, len(os.listdir(f"/proc/{self.pid}/fd"))]

    def metrics(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PROMETHEUS}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return ["unanswered"] * len(self.GAUGES)
        return [sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line)) for name in self.GAUGES]


def run(options):
    directory = os.path.abspath(options.output)
    os.makedirs(directory, exist_ok=True)
    make_certificates(directory)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    seconds = options.minutes * 60

    servers = multiprocessing.Process(target=serve, args=(directory,), daemon=True)
    servers.start()
    openssl = subprocess.Popen(
        ["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{PORTS['openssl']}", "-cert", "server.pem", "-key", "server.key"],
        cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    events = os.path.join(directory, "events.jsonl")
    command = [
        options.program, "live", "-i", "lo", "--format", "json", "--memory-limit", options.limit, "--filter", f"not port {PROMETHEUS}",
        "--ca-file", os.path.join(directory, "ca.pem"), "--prometheus", f"127.0.0.1:{PROMETHEUS}",
    ]
    with open(events, "w") as output, open(os.path.join(directory, "stderr.txt"), "w") as errors:
        observer = subprocess.Popen(command, stdout=output, stderr=errors)
    time.sleep(2)
    assert observer.poll() is None, "tlscope has ended: see stderr.txt"

    memory = Memory(observer.pid, os.path.join(directory, "memory.csv"))
    memory.start()
    clients = multiprocessing.Process(target=lambda: Clients(directory, options.rate, seconds).run(), daemon=True)
    clients.start()
    flood, sent = Flood(directory, options.flood), collections.Counter()
    ranges, number = [], 0
    begin = time.monotonic()
    while clients.is_alive():
        clients.join(max(0.1, begin + FIRST_FLOOD + number * FLOOD_EVERY - time.monotonic()))
        if clients.is_alive() and observer.poll() is None:
            kind = Flood.KINDS[number % len(Flood.KINDS)]
            first = flood.connections + 1
            sent[kind] += flood.send(kind)
            ranges.append((first, flood.connections, kind))
            number += 1
    # What the last flood left open is given up after the observer's own patience, or at its end.
    time.sleep(15)
    memory.stop.set()
    memory.join()
    observer.send_signal(signal.SIGINT)
    status = observer.wait(60)
    for process in (servers, openssl):
        process.terminate()

    result = account(directory, events, ranges, sent)
    result |= {"dropped": dropped(os.path.join(directory, "stderr.txt")), "machine": machine(options.program), "status": status, "command": command, "seconds": round(time.monotonic() - begin), "memory": growth(memory.rows, options.limit)}
    result["problems"] = problems(result)
    with open(os.path.join(directory, "result.json"), "w") as file:
        json.dump(result, file, indent=1)
    if not options.keep:
        os.remove(events)
    show(result)
    return 1 if result["problems"] else 0


def dropped(errors):
    """How many packets the last line about an interface counts as dropped, by cause, and as captured."""
    with open(errors) as file:
        counts = re.findall(r"(\d+) packets; dropped: (\d+) by the kernel, (\d+) by the interface, (\d+) at the queue", file.read())
    names = ["packets", "kernel", "interface", "queue"]
    return dict(zip(names, map(int, counts[-1]))) if counts else {}


def machine(program):
    """What the figures were measured with."""
    with open(program, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    return {"version": version, "sha256": digest, "processors": os.cpu_count(), "load": os.getloadavg()}


def growth(rows, limit):
    """The memory of the run, in MiB: at most, and in each whole round of floods.

    Each kind of flood fills another table, and what a table or the allocator has taken stays with the process. So memory rises until each
    kind has come once, and only rounds can be compared: quarters of an hour hold different floods.
    """
    number, unit = re.fullmatch(r"(\d+)([MG])", limit).groups()
    length, rounds = FLOOD_EVERY * len(Flood.KINDS), []
    while (begin := FIRST_FLOOD + length * len(rounds)) + length <= rows[-1][0]:
        part = sorted(row[1] for row in rows if begin <= row[0] < begin + length)
        rounds.append({"median": round(part[len(part) // 2] / 1024, 1), "maximum": round(part[-1] / 1024, 1)})
    return {
        "limit_mib": int(number) * {"M": 1, "G": 1024}[unit],
        "peak_mib": round(max(row[2] for row in rows) / 1024, 1),
        "rounds_mib": rounds,
        "files_open": [min(row[4] for row in rows), max(row[4] for row in rows)],
        "probes_unanswered": sum(row[-1] == "unanswered" for row in rows),
    }


def grows(rounds):
    """Whether memory has grown since the second round: by a twentieth, in the middle or at most. The first one warms up."""
    return len(rounds) > 2 and any(rounds[-1][what] > 1.05 * rounds[1][what] for what in ("median", "maximum"))


def account(directory, events, ranges, sent):
    """Compares each connection with its event."""
    connections = {}
    with open(os.path.join(directory, "connections.csv"), newline="") as file:
        for row in csv.DictReader(file):
            connections[row["address"]] = row
    judged = collections.defaultdict(collections.Counter)
    floods = collections.defaultdict(collections.Counter)
    found, stats, not_tls = collections.Counter(), {}, collections.Counter()
    with open(events) as lines, open(os.path.join(directory, "wrong.jsonl"), "w") as wrong:
        for line in lines:
            event = json.loads(line)
            if event["type"] == "stats":
                stats = event
                continue
            address = event["client"]["address"]
            if event["type"] == "not_tls":
                not_tls["flood" if address.startswith("10.") else "client"] += 1
                continue
            if address.startswith("10."):
                floods[flood_of(address, ranges)][why(event)] += 1
                continue
            connection = connections.get(address)
            if connection is None:
                judged["no connection"][why(event)] += 1
                continue
            found[address] += 1
            if found[address] > 1:
                continue
            verdict = compare(event, connection)
            judged[connection["kind"]][verdict] += 1
            if verdict.startswith("wrong"):
                wrong.write(json.dumps({"connection": connection, "event": event}) + "\n")
    for address, connection in connections.items():
        if not found[address] and not connection["seen"].startswith("not connected"):
            judged[connection["kind"]]["no event"] += 1
        if found[address] > 1:
            judged[connection["kind"]]["more than one event"] += 1
    for kind in sent:
        if kind in Flood.WITH_HELLO:
            missing = sent[kind] - sum(floods[kind].values())
            if missing:
                floods[kind]["no event"] = missing
    not_made = sum(not found[address] and seen["seen"].startswith("not connected") for address, seen in connections.items())
    return {
        "connections": len(connections),
        "not_made": not_made,
        "ordinary": {kind: dict(counts) for kind, counts in sorted(judged.items())},
        "floods": {kind: {"sent": sent[kind], **floods[kind]} for kind in sent},
        "not_tls": dict(not_tls),
        "stats": {name: value for name, value in stats.items() if isinstance(value, int) and value},
    }


def flood_of(address, ranges):
    high, middle, low = (int(part) for part in address.split(".")[1:])
    number = (high << 16) + (middle << 8) + low
    return next((kind for first, last, kind in ranges if first <= number <= last), "none")


def why(event):
    error = event.get("error") or {}
    return event.get("unknown_because") or ":".join(filter(None, [event["outcome"], error.get("type"), error.get("side")]))


def compare(event, connection):
    """`right`, `unknown` with the cause, or `wrong` with what tlscope said."""
    if event["outcome"] == "unknown":
        return f"unknown: {event.get('unknown_because')}"
    outcome, types, side = KINDS[connection["kind"]].expected
    if outcome == "success" and connection["seen"] not in ("success", "resumed"):
        return "the client did not see the expected"
    error = event.get("error") or {}
    if any(event["capture"][gap] for gap in ("client_gap_bytes", "server_gap_bytes")):
        # Why a certificate was refused shows in the certificate: where that was dropped, the alert is all there is.
        types = types | UNREFINED.get(frozenset(types), set())
    right = event["outcome"] == outcome and error.get("type") in types and error.get("side") == side
    if connection["seen"] == "resumed":
        right = right and event["tls"]["resumed"]
    return "right" if right else f"wrong: {why(event)}"


def problems(result):
    """Why the run counts as failed; empty if it does not."""
    found = []
    total, right = collections.Counter(), 0
    for kind, counts in result["ordinary"].items():
        for verdict, count in counts.items():
            total[verdict.split(":")[0]] += count
            if verdict.startswith("wrong"):
                found.append(f"{kind}: {count} {verdict}")
    lost = total["no event"] + sum(flood.get("no event", 0) for flood in result["floods"].values())
    counts = result["dropped"]
    if lost and not any(counts.get(cause) for cause in ("kernel", "interface", "queue")):
        found.append(f"{lost} handshakes have no event, although no packet was dropped")
    if total["more than one event"] or total["no connection"]:
        found.append(f"events without a connection of their own: {dict(total)}")
    # Events without a connection are in no account; a second event of one connection is counted above.
    accounted = sum(total.values()) - total["more than one event"] - total["no connection"]
    if accounted != result["connections"] - result["not_made"]:
        found.append(f"{result['connections']} connections, {result['not_made']} of them not made, and {accounted} accounted for: {dict(total)}")
    evicted = sum(counts.get("unknown: evicted", 0) for counts in result["ordinary"].values())
    causes = collections.Counter()
    for counts in result["ordinary"].values():
        causes.update({verdict: count for verdict, count in counts.items() if verdict.startswith(("unknown", "no event"))})
    result["not_judged"] = dict(causes)
    result["judged_share"] = round(total["right"] / max(1, total["right"] + total["unknown"] + total["no event"] + total["wrong"]), 5)
    if evicted > 0.01 * total["right"]:
        found.append(f"{evicted} ordinary handshakes were given up for memory")
    if result["judged_share"] < 0.99:
        found.append(f"only {result['judged_share']:.2%} of the ordinary handshakes are judged and right")
    memory = result["memory"]
    if memory["peak_mib"] > memory["limit_mib"]:
        found.append(f"{memory['peak_mib']} MiB are more than the limit")
    if grows(memory["rounds_mib"]):
        found.append(f"memory grows: {memory['rounds_mib']}")
    if result["status"] != 0:
        found.append(f"tlscope ended with status {result['status']}")
    return found


def show(result):
    print(f"{result['connections']} connections in {result['seconds']} s, {result['not_made']} not made; {result['judged_share']:.2%} judged and right")
    print("not judged:", result["not_judged"])
    for kind, counts in [*result["ordinary"].items(), *((f"flood of {kind}", counts) for kind, counts in result["floods"].items())]:
        print(f"  {kind:24} " + ", ".join(f"{verdict} {count}" for verdict, count in counts.items()))
    print("packets dropped:", result["dropped"])
    print("not_tls:", result["not_tls"])
    print("stats:", result["stats"])
    print("memory:", result["memory"])
    for problem in result["problems"]:
        print("PROBLEM:", problem)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", metavar="TLSCOPE", help="the program to run")
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--rate", type=float, default=25, help="connections a second (25)")
    parser.add_argument("--limit", default="128M", help="tlscope's --memory-limit (128M)")
    parser.add_argument("--flood", type=float, default=1, metavar="FACTOR", help="how large the floods are (1: enough for 128M)")
    parser.add_argument("--output", default="soak", metavar="DIR", help="where results go (soak)")
    parser.add_argument("--keep", action="store_true", help="keep events.jsonl, which is large")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv, "--inside"])
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
