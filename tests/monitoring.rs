//! `tlscope live` with real receivers: an OpenTelemetry collector, and Prometheus with the shipped alert rules.
//!
//! Needs CAP_NET_RAW, `openssl`, and `rotel-agent` or `prometheus`. Tests are skipped where one is missing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::Value;

use crate::support::live::Live;
use crate::support::process::{Process, free_port, wait_for};
use crate::support::program::printed;
use crate::support::{needs, scratch};

/// Starts `tlscope live` on the ports of `peers`; `None` if the test is to be skipped.
fn live(peers: &Peers, arguments: &[&str]) -> Option<Live> {
    let ports = peers.ports.map(|port| format!("tcp port {port}"));
    let filter = ports.join(" or ");
    Live::start(&[&["--format", "json", "-f", &filter], arguments].concat())
}

/// Three servers: one that works, one with an expired certificate, one that requires a client certificate.
struct Peers {
    openssl: PathBuf,
    directory: PathBuf,
    ports: [u16; 3],
    _servers: Vec<Process>,
}

impl Peers {
    fn start(openssl: PathBuf, directory: PathBuf) -> Self {
        write_certificates(&directory);
        let ports = [(); 3].map(|()| free_port());
        let server = |port: u16, name: &str, more: &[&str]| {
            let mut command = Command::new(&openssl);
            command.current_dir(&directory);
            command.args([
                "s_server",
                "-quiet",
                "-tls1_2",
                "-accept",
                &port.to_string(),
            ]);
            command.args([
                "-cert",
                &format!("{name}.pem"),
                "-key",
                &format!("{name}.key"),
            ]);
            command.args(more).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            Process::start(&mut command)
        };
        let servers = vec![
            server(ports[0], "good", &[]),
            server(ports[1], "old", &[]),
            server(ports[2], "good", &["-Verify", "1", "-CAfile", "ca.pem"]),
        ];
        for port in ports {
            wait_for("server", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        Self {
            openssl,
            directory,
            ports,
            _servers: servers,
        }
    }

    fn connect(&self, server: usize, arguments: &[&str]) {
        let mut command = Command::new(&self.openssl);
        command.current_dir(&self.directory);
        let address = format!("127.0.0.1:{}", self.ports[server]);
        command.args(["s_client", "-connect", &address, "-verify_return_error"]);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap();
    }

    /// A success, and a failure of each of four classes.
    fn shake_hands(&self) {
        self.connect(0, &["-CAfile", "ca.pem"]);
        self.connect(0, &["-no-CAfile", "-no-CApath"]);
        self.connect(1, &["-CAfile", "ca.pem"]);
        self.connect(2, &["-CAfile", "ca.pem"]);
        self.connect(0, &["-CAfile", "ca.pem", "-tls1_3"]);
    }
}

const CLASSES: [&str; 4] = [
    "unknown_ca",
    "cert_expired",
    "missing_client_cert",
    "protocol_mismatch",
];

fn write_certificates(directory: &Path) {
    let params = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut ca = params("Test CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    fs::write(directory.join("ca.pem"), ca.pem()).unwrap();
    for (name, end) in [("good", 2090), ("old", 2020)] {
        let mut leaf = params(name);
        leaf.not_before = date_time_ymd(2019, 1, 1);
        leaf.not_after = date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&key, &ca).unwrap();
        fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// The body of an answer over HTTP/1.1, however it is framed.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

/// The answer of Prometheus to a query: each series' labels and value.
fn query(port: u16, expression: &str) -> Vec<Value> {
    let mut encoded = String::new();
    for byte in expression.bytes() {
        encoded.push_str(&format!("%{byte:02x}"));
    }
    let answer = get(port, &format!("/api/v1/query?query={encoded}"));
    let answer: Option<Value> = answer.and_then(|text| serde_json::from_str(&text).ok());
    let result = answer.map(|answer| answer["data"]["result"].clone());
    result
        .and_then(|list| list.as_array().cloned())
        .unwrap_or_default()
}

#[test]
fn a_real_prometheus_sees_failures_and_raises_the_shipped_alerts() {
    let (Some(prometheus), Some(openssl)) =
        (needs::program("prometheus"), needs::program("openssl"))
    else {
        return;
    };
    let directory = scratch::folder("prometheus");
    let peers = Peers::start(openssl, directory.clone());
    let (ours, theirs) = (free_port(), free_port());
    let address = format!("127.0.0.1:{ours}");
    let watched = directory.join("old.pem");
    let flags = [
        "--prometheus",
        &address,
        "--watch-cert",
        watched.to_str().unwrap(),
    ];
    let Some(live) = live(&peers, &flags) else {
        return;
    };
    assert_eq!(get(ours, "/healthz").as_deref(), Some("ok\n"));

    let rules = printed(&["print", "alert-rules"]);
    fs::write(directory.join("rules.yaml"), rules).unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yaml]\nscrape_configs:\n  - job_name: tlscope\n    static_configs: [{{targets: ['{address}']}}]\n"
    );
    fs::write(directory.join("prometheus.yml"), config).unwrap();
    let mut command = Command::new(prometheus);
    command.current_dir(&directory).args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        &format!("--web.listen-address=127.0.0.1:{theirs}"),
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _prometheus = Process::start(&mut command);
    wait_for("scrapes", || {
        query(theirs, "count_over_time(up[1m]) > 3").pop()
    });

    peers.shake_hands(); // each failure is the first of its kind
    for class in CLASSES {
        let first = format!(
            r#"sum(rate(tls_handshake_total{{result="failure", error_type="{class}"}}[1m])) > 0"#
        );
        wait_for(&first, || query(theirs, &first).pop());
    }
    for _ in 0..5 {
        peers.shake_hands();
    }
    for class in CLASSES {
        let alert = format!(
            r#"ALERTS{{alertname="TLSHandshakeFailures", alertstate="firing", error_type="{class}"}}"#
        );
        wait_for(&alert, || query(theirs, &alert).pop());
    }
    for role in ["server", "file"] {
        let alert = format!(
            r#"ALERTS{{alertname="TLSCertificateExpired", alertstate="firing", certificate_subject="old", certificate_role="{role}"}}"#
        );
        wait_for(&alert, || query(theirs, &alert).pop());
    }
    // Expressions from alert rules of other exporters, unchanged.
    for expression in [
        r#"rate(tls_handshake_total{result="failure"}[5m]) > 0"#,
        "tls_certificate_days_until_expiry < 14",
        r#"rate(tls_validation_errors_total{error_type="unknown_ca"}[5m]) > 0"#,
    ] {
        wait_for(expression, || query(theirs, expression).pop());
    }
    let firing = query(theirs, r#"ALERTS{alertstate="firing"}"#);
    for alert in &firing {
        let name = alert["metric"]["alertname"].as_str().unwrap();
        assert!(
            ["TLSHandshakeFailures", "TLSCertificateExpired"].contains(&name),
            "{alert}"
        );
    }
    live.signal("-TERM");
    live.end();
}

#[test]
fn the_last_failures_are_listed_with_their_captures_and_traces() {
    let Some(openssl) = needs::program("openssl") else {
        return;
    };
    let directory = scratch::folder("failures");
    let peers = Peers::start(openssl, directory.clone());
    let (ours, nobody) = (free_port(), free_port());
    let address = format!("127.0.0.1:{ours}");
    let collector = format!("http://127.0.0.1:{nobody}"); // nobody listens: traces have their numbers all the same
    let captures = directory.join("captures");
    let flags = [
        ["--prometheus", &address],
        ["--otlp-endpoint", &collector],
        ["--otlp-signals", "traces"],
        ["--save-failures", captures.to_str().unwrap()],
    ];
    let Some(live) = live(&peers, flags.as_flattened()) else {
        return;
    };
    peers.shake_hands();
    let list = wait_for("failures", || {
        let list: Value = serde_json::from_str(&get(ours, "/failures")?).ok()?;
        (list["failures"].as_array()?.len() >= CLASSES.len()).then_some(list)
    });
    assert_eq!(list["dropped"], 0);
    let failures = list["failures"].as_array().unwrap();
    for class in CLASSES {
        let mut with_class = failures.iter().filter(|one| one["error"]["type"] == class);
        let failure = with_class
            .next()
            .unwrap_or_else(|| panic!("no {class} in {list}"));
        let saved = Path::new(failure["saved_to"].as_str().unwrap());
        assert!(saved.is_absolute() && saved.is_file(), "{failure}");
        assert_eq!(failure["trace_id"].as_str().unwrap().len(), 32, "{failure}");
        assert!(failure["community_id"].as_str().unwrap().starts_with("1:"));
        let selected = get(ours, &format!("/failures?error={class}")).unwrap();
        let selected: Value = serde_json::from_str(&selected).unwrap();
        let all = selected["failures"].as_array().unwrap();
        assert!(all.iter().all(|one| one["error"]["type"] == class));
    }
    let page = get(ours, "/failures?format=html").unwrap();
    assert!(page.contains("tlscope show /"), "{page}");

    // The same traces are the exemplars of what Prometheus counts.
    let exemplar = wait_for("exemplars", || {
        let mut stream = TcpStream::connect(("127.0.0.1", ours)).ok()?;
        let accept = "Accept: application/openmetrics-text; version=1.0.0";
        write!(
            stream,
            "GET /metrics HTTP/1.0\r\nHost: localhost\r\n{accept}\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let mut lines = answer.lines();
        let line = lines.find(|line| {
            line.contains(r#"error_type="unknown_ca""#) && line.contains(" # {trace_id=")
        });
        line.map(str::to_owned)
    });
    let of_class = failures
        .iter()
        .filter(|one| one["error"]["type"] == "unknown_ca");
    let mut traces = of_class.map(|one| one["trace_id"].as_str().unwrap());
    assert!(traces.any(|trace| exemplar.contains(trace)), "{exemplar}");
    live.signal("-TERM");
    live.end();
}

#[test]
fn a_real_collector_receives_all_signals_over_grpc_and_over_http() {
    let (Some(rotel), Some(openssl)) = (needs::program("rotel-agent"), needs::program("openssl"))
    else {
        return;
    };
    let peers = Peers::start(openssl, scratch::folder("collector"));
    let [grpc, http] = [(); 2].map(|()| free_port());
    let mut command = Command::new(rotel);
    command.args(["start", "--exporter", "blackhole"]);
    for signal in ["metrics", "logs", "traces"] {
        command.args(["--debug-log", signal]);
    }
    command.args(["--debug-log-verbosity", "detailed"]);
    command
        .arg("--otlp-grpc-endpoint")
        .arg(format!("127.0.0.1:{grpc}"));
    command
        .arg("--otlp-http-endpoint")
        .arg(format!("127.0.0.1:{http}"));
    command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    let mut collector = Process::start(&mut command);
    let printed_lines = collector.stdout();
    for (protocol, port) in [("grpc", grpc), ("http/protobuf", http)] {
        wait_for("collector", || TcpStream::connect(("127.0.0.1", port)).ok());
        printed_lines.try_iter().for_each(drop);
        let endpoint = format!("http://127.0.0.1:{port}");
        let flags = [
            "--otlp-endpoint",
            &endpoint,
            "--otlp-protocol",
            protocol,
            "--otlp-signals",
            "metrics,logs,traces",
            "--metrics-interval",
            "1",
        ];
        let Some(live) = live(&peers, &flags) else {
            return;
        };
        peers.shake_hands();
        thread::sleep(Duration::from_millis(500)); // packets take a moment to the capture
        live.signal("-TERM");
        let (_, _, stderr) = live.end();
        assert!(!stderr.join("\n").contains("not delivered"), "{stderr:?}");
        let mut wanted = vec![
            "Name: tls.handshake.total".to_owned(),
            "Name: tlscope.packets".to_owned(),
            "EventName: tls.handshake".to_owned(),
        ];
        wanted.extend(CLASSES.map(|class| format!("-> error.type: Str({class})")));
        let mut seen = Vec::new();
        wait_for(protocol, || {
            seen.extend(printed_lines.try_iter());
            wanted.retain(|text| !seen.iter().any(|line| line.contains(text)));
            wanted.is_empty().then_some(()).or_else(|| {
                seen.clear();
                None
            })
        });
    }
}
