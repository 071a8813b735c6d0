#!/usr/bin/env python3
"""Runs tlscope with the engines of a fleet: a real OpenTelemetry Collector, VictoriaMetrics, ClickHouse, Prometheus and DuckDB.

usage: sudo tests/fleet/fleet.py chain [options] TLSCOPE
       sudo tests/fleet/fleet.py agents [--agents 200] [--seconds 180] [options] TLSCOPE

Everything runs on the loopback interface of a network namespace of its own, so that nothing else is captured and all ports are free.
A dozen kinds of clients connect to two servers, with and without client certificates, and fail in four ways.

`chain` runs one tlscope with the files that it prints, unchanged: OTLP to the Collector with `print collector-config`; on to
VictoriaMetrics, where vmalert evaluates `print alert-rules`; log records to ClickHouse with the tables of `print clickhouse`, and the
queries in there; spans to a receiver that counts them; and JSON lines to ClickHouse and to DuckDB. It fails (status 1) if any of them
counts other handshakes than the clients did.

`agents` runs many instances of `tlscope live`, each with an identity of its own, that export over OTLP and are scraped by Prometheus. It
prints series, bytes and CPU for each, and what that makes for 10,000. It starts no further agent if less than --spare memory would be
left.

The Collector is any distribution; where none can be downloaded, its core builds from Debian's source package:

    apt-get install golang-opentelemetry-collector-dev     (unstable; with Go 1.25 or later)
    GO111MODULE=off GOPATH=/usr/share/gocode go build -o otelcol MAIN.go

where MAIN.go passes the factories of otlpreceiver, batchprocessor, memorylimiterprocessor and otlphttpexporter to
otelcol.NewCommand. VictoriaMetrics and vmalert are Debian's package `victoria-metrics` (1.112 or later).

Needs root, Python 3.10 or later, `openssl`, `ip` and `unshare`. Programs are taken from PATH, or from --otelcol, --victoria-metrics,
--vmalert and --prometheus. ClickHouse is chDB, and DuckDB is itself, from PyPI (--python-path DIR for `pip install --target`); they are
skipped if they are not installed.
"""
import argparse
import contextlib
import glob
import http.server
import json
import os
import re
import resource
import shutil
import signal
import ssl
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

NAME = "api.example.org"
MUTUAL = "pay.example.org"
PORTS = {"plain": 8443, "mutual": 8444}
#: What each round of connections consists of: server, options of the client, and how the handshake ends.
ROUND = [
    ("plain", {}, "success"),
    ("plain", {"version": ssl.TLSVersion.TLSv1_2}, "success"),
    ("mutual", {"certificate": True, "version": ssl.TLSVersion.TLSv1_2}, "success"),
    ("mutual", {"version": ssl.TLSVersion.TLSv1_2}, "missing_client_cert"),
    ("plain", {"trust": "stranger.pem", "version": ssl.TLSVersion.TLSv1_2}, "unknown_ca"),
    ("plain", {"name": "other.example.org", "version": ssl.TLSVersion.TLSv1_2}, "hostname_mismatch"),
    ("mutual", {"certificate": True, "version": ssl.TLSVersion.TLSv1_3, "only": True}, "protocol_mismatch"),
]
CLICKHOUSE = 8123
VICTORIA = 8428
TRACES = 14318
PROMETHEUS = 9090
RELABEL = """\
- source_labels: [service_name]
  regex: (.+)
  target_label: job
- source_labels: [service_instance_id]
  regex: (.+)
  target_label: instance
- regex: service_.*|telemetry_sdk_.*|scope_.*|host_name
  action: labeldrop
"""


def make_certificates(directory):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for ca in ("ca", "stranger"):
        openssl("req", "-x509", *key, "-days", "30", "-subj", f"/CN=Fleet {ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    for file, name in (("plain", f"DNS:{NAME}"), ("mutual", f"DNS:{MUTUAL}"), ("client", "URI:spiffe://example.org/ns/shop/sa/checkout")):
        with open(f"{directory}/names.cnf", "w") as out:
            out.write(f"subjectAltName={name}\n")
        openssl("req", "-new", *key, "-subj", f"/CN={name.partition(':')[2].rpartition('/')[2]}", "-keyout", f"{file}.key", "-out", f"{file}.csr")
        openssl("x509", "-req", "-in", f"{file}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20", "-extfile", "names.cnf", "-out", f"{file}.pem")


def serve(directory, server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/{server}.pem", f"{directory}/{server}.key")
    if server == "mutual":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(f"{directory}/ca.pem")
    listener = socket.create_server(("127.0.0.1", PORTS[server]), backlog=64)

    def accept():
        while True:
            connection, _ = listener.accept()
            connection.settimeout(5)
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(tls.recv(64))
                tls.recv(64)

    threading.Thread(target=accept, daemon=True).start()


def connect(directory, server, options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(f"{directory}/{options.get('trust', 'ca.pem')}")
    context.minimum_version = context.maximum_version = options.get("version", ssl.TLSVersion.TLSv1_3)
    if options.get("certificate"):
        context.load_cert_chain(f"{directory}/client.pem", f"{directory}/client.key")
    name = options.get("name", {"plain": NAME, "mutual": MUTUAL}[server])
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORTS[server]), 5) as plain:
        with context.wrap_socket(plain, server_hostname=name) as tls:
            tls.sendall(b"hello")
            tls.recv(64)


def traffic(directory, until, pause):
    """Connects until `until` says that it is enough. The number of rounds."""
    rounds = 0
    while not until(rounds):
        for server, options, _ in ROUND:
            connect(directory, server, options)
            time.sleep(pause)
        rounds += 1
    return rounds


def expected(rounds):
    """How many handshakes end in each way."""
    counts = {}
    for _, _, end in ROUND:
        counts[end] = counts.get(end, 0) + rounds
    return counts


class Programs:
    """Processes that end with the script."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def start(self, name, *command, **environment):
        log = open(f"{self.directory}/{name}.log", "w")
        process = subprocess.Popen(command, cwd=self.directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **environment})
        self.running.append(process)
        return process

    def end(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def get(url, **query):
    if query:
        url += "?" + urllib.parse.urlencode(query)
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def wait_for(what, test, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
            found = test()
            if found:
                return found
        time.sleep(0.5)
    sys.exit(f"{what}: nothing within {seconds} s")


def is_open(port):
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def query(port, expression):
    answer = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query", query=expression))
    return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in answer["data"]["result"]}


def statements(sql):
    """The statements of a file, without its comments."""
    text = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))
    return [one.strip() for one in text.split(";") if one.strip()]


class ClickHouse:
    """chDB behind an HTTP server that takes inserts as ClickHouse's does: the statement in the URL, the data in the body."""

    def __init__(self, directory, schema):
        from chdb import session

        self.session = session.Session(f"{directory}/chdb")
        self.lock = threading.Lock()
        self.requests = 0
        for one in statements(schema):
            if one.startswith("CREATE"):
                self.session.query(one)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                statement = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0]
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                outer.insert(statement, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", CLICKHOUSE), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def insert(self, statement, body):
        """`INSERT INTO table FORMAT format` with the data that follows it."""
        into, _, form = statement.partition(" FORMAT ")
        column = re.search(r"\((\w+)\)", into)
        column = column.group(1) if column else "body"
        with self.lock, tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            self.requests += 1
            self.session.query(f"{into} SELECT * FROM file('{file.name}', {form}, '{column} String')")

    def ask(self, sql, form="JSONEachRow"):
        with self.lock:
            return str(self.session.query(sql, form))

    def ends(self, where):
        rows = self.ask(f"SELECT if(outcome = 'failure', error_type, outcome) AS end, count() AS n FROM tlscope.handshakes WHERE {where} GROUP BY end")
        return {row["end"]: int(row["n"]) for row in map(json.loads, rows.splitlines())}


class Spans:
    """A receiver of OTLP over HTTP that counts requests for spans."""

    def __init__(self):
        self.bytes = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.bytes += len(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", TRACES), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()


def check(what, found, wanted):
    same = found == wanted
    print(f"{'ok  ' if same else 'FAIL'} {what}: {found}" + ("" if same else f", expected {wanted}"))
    return same


def chain(options, directory, programs):
    def asset(name):
        text = subprocess.run([options.tlscope, "print", name], check=True, capture_output=True, text=True).stdout
        with open(f"{directory}/{name}", "w") as out:
            out.write(text)
        return text

    schema, _, _ = asset("clickhouse"), asset("collector-config"), asset("alert-rules")
    try:
        clickhouse = ClickHouse(directory, schema)
    except ImportError:
        clickhouse = None
        print("skipped: chDB is not installed")
    spans = Spans()
    with open(f"{directory}/relabel.yaml", "w") as out:
        out.write(RELABEL)
    programs.start("victoria-metrics", options.victoria_metrics, "-opentelemetry.usePrometheusNaming", "-relabelConfig=relabel.yaml", f"-httpListenAddr=127.0.0.1:{VICTORIA}",
                   "-memory.allowedBytes=256MB", "-search.latencyOffset=1ms")
    programs.start("collector", options.otelcol, "--config", "collector-config", METRICS_ENDPOINT=f"http://127.0.0.1:{VICTORIA}/opentelemetry",
                   CLICKHOUSE_URL=f"http://127.0.0.1:{CLICKHOUSE}", TRACES_ENDPOINT=f"http://127.0.0.1:{TRACES}")
    wait_for("the Collector", lambda: is_open(4317))
    wait_for("VictoriaMetrics", lambda: is_open(VICTORIA))
    programs.start("vmalert", options.vmalert, "-rule=alert-rules", f"-datasource.url=http://127.0.0.1:{VICTORIA}", "-notifier.blackhole", "-evaluationInterval=5s",
                   "-httpListenAddr=127.0.0.1:8880", f"-remoteWrite.url=http://127.0.0.1:{VICTORIA}")
    live = programs.start("tlscope", options.tlscope, "live", "-i", "lo", "-f", "tcp portrange 8443-8444", "--format", "json", "--output", "events.jsonl", "--prometheus", "127.0.0.1:9464",
                          "--otlp-endpoint", "http://127.0.0.1:4317", "--otlp-signals", "metrics,logs,traces", "--otlp-logs", "all", "--metrics-interval", "5", "--user", "root",
                          "--metric-attributes", "server.address,server.port,tls.client.identity", OTEL_RESOURCE_ATTRIBUTES="service.instance.id=node-1:9464,host.name=node-1")
    wait_for("tlscope", lambda: get("http://127.0.0.1:9464/healthz"))
    time.sleep(6)  # the zeros of the first export
    rounds = traffic(directory, lambda rounds: rounds == options.rounds, 0.05)
    wanted = expected(rounds)
    fine = True

    def counted():
        ends = query(VICTORIA, 'sum by (result, error_type) (last_over_time(tls_handshake_total{job="tlscope", instance="node-1:9464"}[5m])) > 0')
        return {dict(labels).get("error_type") or dict(labels)["result"]: int(value) for labels, value in ends.items()}

    # The next export, and the batch of the Collector.
    wait_for("all handshakes in VictoriaMetrics", lambda: sum(counted().values()) >= rounds * len(ROUND))
    fine &= check("VictoriaMetrics", counted(), wanted)
    failures = {("node-1:9464", end) for end in wanted if end != "success"}

    def firing():
        series = query(VICTORIA, 'ALERTS{alertstate="firing", alertname="TLSHandshakeFailures"}')
        return {(dict(labels)["instance"], dict(labels)["error_type"]) for labels in series}

    wait_for("alerts", lambda: firing() >= failures)
    fine &= check("vmalert", firing(), failures)
    live.terminate()
    live.wait(20)
    fine &= check("exit status of tlscope", live.returncode, 0)
    time.sleep(8)  # the batch of the last export
    fine &= check("spans arrived", spans.bytes > 0, True)
    if clickhouse:
        fine &= check("ClickHouse, log records", clickhouse.ends("host = 'node-1'"), wanted)
        with open(f"{directory}/events.jsonl", "rb") as file:
            clickhouse.insert("INSERT INTO tlscope.lines (line) FORMAT LineAsString", file.read())
        fine &= check("ClickHouse, JSON lines", clickhouse.ends("host = ''"), wanted)
        same = ["service", "server", "server_port", "client", "client_identity", "evidence", "error_side", "error_message", "version", "cipher_suite", "key_exchange", "offered_versions",
                "client_certificate", "certificate", "certificate_issuer", "certificate_not_after", "ja4", "community_id"]
        for column in same:
            one, other = (clickhouse.ask(f"SELECT DISTINCT flow_id, {column} FROM tlscope.handshakes WHERE host = '{host}' ORDER BY flow_id, {column}") for host in ("node-1", ""))
            if one != other:
                fine &= check(f"{column} of log records and lines", one[:300], other[:300])
        for one in statements(schema):
            if one.startswith("SELECT"):
                print(clickhouse.ask(one, "PrettyCompactMonoBlock"))
    try:
        import duckdb

        ends = duckdb.sql(f"SELECT coalesce(error.type, outcome), count(*) FROM read_json('{directory}/events.jsonl') WHERE type = 'handshake' GROUP BY 1")
        fine &= check("DuckDB", dict(ends.fetchall()), wanted)
        duckdb.sql(f"COPY (SELECT * FROM read_json('{directory}/events.jsonl')) TO '{directory}/events.parquet' (FORMAT parquet)")
    except ImportError:
        print("skipped: DuckDB is not installed")
    print(f"{rounds * len(ROUND)} handshakes")
    return fine


def cpu(pid):
    """Seconds of CPU that a process took so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def available():
    with open("/proc/meminfo") as file:
        return int(re.search(r"MemAvailable:\s+(\d+)", file.read()).group(1)) / 1024


def received(port):
    """Bytes that open connections to a port have brought."""
    text = subprocess.run(["ss", "-tinH", "sport", "=", f":{port}"], capture_output=True, text=True, check=True).stdout
    return sum(int(found) for found in re.findall(r"bytes_received:(\d+)", text))


def agents(options, directory, programs):
    config = f"""\
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:4317}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 512}}
  batch: {{send_batch_size: 8192, timeout: 5s}}
exporters:
  otlp_http: {{endpoint: http://127.0.0.1:{VICTORIA}/opentelemetry}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics: {{receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp_http]}}
"""
    with open(f"{directory}/collector.yaml", "w") as out:
        out.write(config)
    with open(f"{directory}/relabel.yaml", "w") as out:
        out.write(RELABEL)
    with open(f"{directory}/rules.yaml", "w") as out:
        subprocess.run([options.tlscope, "print", "alert-rules"], check=True, stdout=out)
    victoria = programs.start("victoria-metrics", options.victoria_metrics, "-opentelemetry.usePrometheusNaming", "-relabelConfig=relabel.yaml", f"-httpListenAddr=127.0.0.1:{VICTORIA}",
                              "-memory.allowedBytes=512MB", "-search.latencyOffset=1ms")
    collector = programs.start("collector", options.otelcol, "--config", "collector.yaml")
    wait_for("the Collector", lambda: is_open(4317))
    wait_for("VictoriaMetrics", lambda: is_open(VICTORIA))

    attributes = ["--metric-attributes", options.attributes] if options.attributes else []
    live = []
    for number in range(options.agents):
        if available() < options.spare:
            print(f"no more than {number} agents: less than {options.spare} MiB of memory would be left")
            break
        live.append(programs.start(f"agent-{number}", options.tlscope, "live", "-i", "lo", "-f", "tcp portrange 8443-8444", "--format", "json", "--output", "/dev/null", "--user", "root", "--threads", "1",
                                   "--memory-limit", "96M", "--buffer-size", "1M", "--otlp-endpoint", "http://127.0.0.1:4317", "--metrics-interval", str(options.interval), "--prometheus", f"127.0.0.1:{20_000 + number}",
                                   *attributes, OTEL_RESOURCE_ATTRIBUTES=f"service.instance.id=node-{number}:9464,host.name=node-{number}"))
        time.sleep(0.1)
    count = len(live)
    targets = ", ".join(f"'127.0.0.1:{20_000 + number}'" for number in range(count))
    with open(f"{directory}/prometheus.yml", "w") as out:
        out.write(f"global: {{scrape_interval: {options.scrape}s, evaluation_interval: {options.scrape}s}}\nrule_files: [rules.yaml]\nscrape_configs:\n  - job_name: tlscope\n    static_configs: [{{targets: [{targets}]}}]\n"
                  f"  - job_name: prometheus\n    static_configs: [{{targets: ['127.0.0.1:{PROMETHEUS}']}}]\n")
    prometheus = programs.start("prometheus", options.prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{PROMETHEUS}")
    wait_for("agents", lambda: all(get(f"http://127.0.0.1:{20_000 + number}/healthz") for number in range(count)))
    wait_for("Prometheus", lambda: len(query(PROMETHEUS, 'up{job="tlscope"} == 1')) == count)

    # The first round of everybody brings all series; what follows is the steady state.
    first = time.monotonic() + options.interval + 10
    traffic(directory, lambda _: time.monotonic() > first, options.pause)
    processes = {"collector": collector, "victoria": victoria, "prometheus": prometheus}
    before = {name: cpu(process.pid) for name, process in processes.items()}
    agents_before = sum(cpu(process.pid) for process in live)
    bytes_before = received(4317)
    rows = lambda: float(re.search(r'vm_rows_inserted_total\{type="opentelemetry"\} (\d+)', get(f"http://127.0.0.1:{VICTORIA}/metrics")).group(1))
    rows_before = rows()
    begin = time.monotonic()
    rounds = traffic(directory, lambda _: time.monotonic() > begin + options.seconds, options.pause)
    seconds = time.monotonic() - begin
    used = {name: 100 * (cpu(process.pid) - before[name]) / seconds for name, process in processes.items()}
    agents_used = 100 * (sum(cpu(process.pid) for process in live) - agents_before) / seconds
    brought = received(4317) - bytes_before
    points = rows() - rows_before

    series = next(iter(query(PROMETHEUS, 'sum(scrape_samples_scraped{job="tlscope"})').values()))
    otlp_series = next(iter(query(VICTORIA, f'count(last_over_time({{job="tlscope"}}[{2 * options.interval}s]))').values()))
    scraped = [len(get(f"http://127.0.0.1:{20_000 + number}/metrics")) for number in range(0, count, 20)]
    scraped = sum(scraped) / len(scraped)
    up = len(query(PROMETHEUS, 'up{job="tlscope"} == 1'))
    per = 10_000 / count
    print(f"{count} agents, {up} up, {seconds:.0f} s, {rounds * len(ROUND) / seconds:.1f} handshakes a second, export every {options.interval} s, scrape every {options.scrape} s")
    for what, value, unit in [
        ("series of an agent, scraped", series / count, ""),
        ("series of an agent, over OTLP", otlp_series / count, ""),
        ("data points of an agent over OTLP", points / count / seconds, "a second, as samples in VictoriaMetrics"),
        ("bytes of an export, on the wire (OTLP, gRPC)", brought / count / (seconds / options.interval), ""),
        ("bytes of a scrape, not compressed", scraped, ""),
        ("CPU of the Collector", used["collector"], "% of a core"),
        ("CPU of VictoriaMetrics", used["victoria"], "% of a core"),
        ("CPU of Prometheus, rules included", used["prometheus"], "% of a core"),
        ("CPU of an agent", agents_used / count, "% of a core"),
        ("memory of the Collector", memory(collector.pid), "MiB"),
        ("memory of VictoriaMetrics", memory(victoria.pid), "MiB"),
        ("memory of Prometheus", memory(prometheus.pid), "MiB"),
        ("memory of an agent", sum(memory(process.pid) for process in live) / count, "MiB"),
    ]:
        print(f"{what:46} {value:12.3f} {unit}")
    print(f"for 10,000: {series * per:.0f} series; Collector {used['collector'] * per / 100:.2f} cores; VictoriaMetrics {used['victoria'] * per / 100:.2f} cores; Prometheus {used['prometheus'] * per / 100:.2f} cores")
    return up == count


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("what", choices=["chain", "agents"])
    parser.add_argument("tlscope")
    parser.add_argument("--otelcol", default="otelcol")
    parser.add_argument("--victoria-metrics", default="victoria-metrics")
    parser.add_argument("--vmalert", default="vmalert")
    parser.add_argument("--prometheus", default="prometheus")
    parser.add_argument("--python-path", default="")
    parser.add_argument("--rounds", type=int, default=12, help="rounds of connections in `chain`")
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--interval", type=int, default=60, help="seconds between two exports")
    parser.add_argument("--scrape", type=int, default=15, help="seconds between two scrapes")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two connections in `agents`")
    parser.add_argument("--spare", type=int, default=4096, help="MiB of memory that must be left")
    parser.add_argument("--attributes", default="server.address,server.port,tls.client.identity", help="--metric-attributes of the agents")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.tlscope = os.path.abspath(options.tlscope)
    if not options.inside:
        os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(__file__), "--inside", *sys.argv[1:]])
    for name in ("otelcol", "victoria_metrics", "vmalert", "prometheus"):
        found = shutil.which(getattr(options, name))
        setattr(options, name, os.path.abspath(found) if found else getattr(options, name))
    if options.python_path:
        sys.path.insert(0, os.path.abspath(options.python_path))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    directory = tempfile.mkdtemp(prefix="tlscope-fleet-")
    programs = Programs(directory)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        make_certificates(directory)
        for server in PORTS:
            serve(directory, server)
        fine = {"chain": chain, "agents": agents}[options.what](options, directory, programs)
    finally:
        programs.end()
        print(f"logs and data: {directory}", file=sys.stderr)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
