//! `tlscope live` with the receivers that it is made for: a collector, and Prometheus with the rules that are shipped.
//!
//! Needs CAP_NET_RAW, `openssl`, and `rotel-agent` or `prometheus`: without one of them, a test says so and does nothing.

#![cfg(all(
    feature = "cli",
    feature = "live",
    feature = "otel",
    target_os = "linux"
))]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::disallowed_methods, reason = "tests wait for other programs")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::Value;

#[path = "support/tools.rs"]
mod tools;

/// As long as a busy machine may need for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that does not outlive the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Tells it to end, and waits until it has.
    fn terminate(&mut self) {
        let id = self.0.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status();
        assert!(status.unwrap().success());
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `tlscope live` on the loopback interface for the servers of `peers`; `None` if it may not.
fn live(peers: &Peers, arguments: &[&str]) -> Option<(Running, Receiver<String>)> {
    let ports: Vec<_> = peers
        .ports
        .iter()
        .map(|p| format!("tcp port {p}"))
        .collect();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"));
    command
        .env_clear()
        .args(["live", "-i", "lo", "--format", "json"]);
    command.arg("-f").arg(ports.join(" or ")).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let stderr = lines(child.stderr.take().unwrap());
    let running = Running(child);
    loop {
        let line = stderr.recv_timeout(PATIENCE).unwrap();
        if line.contains("CAP_NET_RAW") {
            eprintln!("skipped: capturing takes CAP_NET_RAW");
            return None;
        }
        if line.starts_with("listening on lo") {
            return Some((running, stderr));
        }
    }
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Until `check` gives something.
fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "no {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Servers that do well, and whose certificate has expired, and that want one of the client.
struct Peers {
    openssl: PathBuf,
    directory: PathBuf,
    ports: [u16; 3],
    _servers: Vec<Running>,
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
            Running::start(&mut command)
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

/// What Prometheus says to a query: each series' labels and value.
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
    let (Some(prometheus), Some(openssl)) = (tools::find("prometheus"), tools::find("openssl"))
    else {
        return;
    };
    let directory = directory("prometheus");
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
    let Some((mut live, _stderr)) = live(&peers, &flags) else {
        return;
    };
    assert_eq!(get(ours, "/healthz").as_deref(), Some("ok\n"));

    let mut rules = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"));
    let rules = rules.args(["print", "alert-rules"]).output().unwrap();
    fs::write(directory.join("rules.yaml"), rules.stdout).unwrap();
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
    let _prometheus = Running::start(&mut command);
    wait_for("scrapes", || {
        query(theirs, "count_over_time(up[1m]) > 3").pop()
    });

    peers.shake_hands(); // each failure is the first of its kind
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
    // The rules that exist elsewhere, as they are.
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
    live.terminate();
}

#[test]
fn a_real_collector_gets_all_signals_over_grpc_and_over_http() {
    let (Some(rotel), Some(openssl)) = (tools::find("rotel-agent"), tools::find("openssl")) else {
        return;
    };
    let peers = Peers::start(openssl, directory("collector"));
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
    let mut child = command.spawn().unwrap();
    let said = lines(child.stdout.take().unwrap());
    let _collector = Running(child);
    for (protocol, port) in [("grpc", grpc), ("http/protobuf", http)] {
        wait_for("collector", || TcpStream::connect(("127.0.0.1", port)).ok());
        said.try_iter().for_each(drop);
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
        let Some((mut live, stderr)) = live(&peers, &flags) else {
            return;
        };
        peers.shake_hands();
        thread::sleep(Duration::from_millis(500)); // packets take a moment to the capture
        live.terminate();
        let stderr: Vec<_> = stderr.iter().collect();
        assert!(!stderr.join("\n").contains("not delivered"), "{stderr:?}");
        let mut wanted = vec![
            "Name: tls.handshake.total".to_owned(),
            "Name: tlscope.packets".to_owned(),
            "EventName: tls.handshake".to_owned(),
        ];
        wanted.extend(CLASSES.map(|class| format!("-> error.type: Str({class})")));
        let mut told = Vec::new();
        wait_for(protocol, || {
            told.extend(said.try_iter());
            wanted.retain(|text| !told.iter().any(|line| line.contains(text)));
            wanted.is_empty().then_some(()).or_else(|| {
                told.clear();
                None
            })
        });
    }
}
