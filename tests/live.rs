//! Runs `tlscope live` on the loopback interface, with real handshakes.
//!
//! Needs the capability CAP_NET_RAW and `openssl`: without one of them, a test says so and does nothing.

#![cfg(all(feature = "cli", live_capture))]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
#[cfg(feature = "otel")]
use std::io::Write;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// As long as a busy machine may need for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `tlscope live` on the loopback interface, and what it says.
struct Live {
    process: Running,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Live {
    /// Starts it, and waits until it listens; `None` if it may not.
    fn start(arguments: &[&str]) -> Option<Self> {
        Self::start_in(&[], arguments)
    }

    /// The same, in an environment.
    fn start_in(environment: &[(&str, String)], arguments: &[&str]) -> Option<Self> {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"))
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .args(["live", "-i", "lo"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let live = Self {
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            process: Running(child),
        };
        loop {
            let line = live.stderr.recv_timeout(PATIENCE).unwrap();
            if line.contains("CAP_NET_RAW") {
                eprintln!("skipped: capturing takes CAP_NET_RAW");
                return None;
            }
            if line.starts_with("listening on lo") {
                return Some(live);
            }
        }
    }

    /// The next event.
    fn event(&self) -> Value {
        let line = self.stdout.recv_timeout(PATIENCE).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.process.0.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; the rest of standard output, and of standard error.
    fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let stdout = self.stdout.iter().collect();
        let stderr = self.stderr.iter().collect();
        (self.process.0.wait().unwrap(), stdout, stderr)
    }
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            if sender.send(line.unwrap()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A directory of this test's own, which vanishes with the value.
///
/// Not in the package: that may lie where the account that a run goes on as cannot look.
struct Directory(PathBuf);

impl std::ops::Deref for Directory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn directory(name: &str) -> Directory {
    let path = std::env::temp_dir().join(format!("tlscope-{}-{name}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    Directory(path)
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A TLS server, with a certificate that it signed itself.
struct Server {
    _process: Running,
    port: u16,
    certificate: String,
}

impl Server {
    /// `None` where there is no openssl.
    fn start(directory: &Path, arguments: &[&str]) -> Option<Self> {
        let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let (key, certificate) = (path("key.pem"), path("certificate.pem"));
        let made = openssl(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10",
        ])
        .args([
            "-subj",
            "/CN=live.example",
            "-addext",
            "subjectAltName=DNS:live.example",
        ])
        .args(["-keyout", &key, "-out", &certificate])
        .status();
        let Ok(made) = made else {
            eprintln!("skipped: openssl is not installed");
            return None;
        };
        assert!(made.success());
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = openssl(&[
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ])
        .args(["-key", &key, "-cert", &certificate])
        .args(arguments)
        .spawn()
        .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(20));
        }
        let server = Self {
            _process: Running(process),
            port,
            certificate,
        };
        Some(server)
    }

    /// Connects with `openssl s_client`; does not care how it goes.
    fn connect(&self, arguments: &[&str]) {
        let address = format!("127.0.0.1:{}", self.port);
        openssl(&[
            "s_client",
            "-connect",
            &address,
            "-servername",
            "live.example",
        ])
        .args(arguments)
        .status()
        .unwrap();
    }

    fn filter(&self) -> String {
        format!("tcp port {}", self.port)
    }
}

#[test]
fn handshakes_are_told_until_a_signal_ends_the_run() {
    for threads in ["1", "3"] {
        let directory = directory("live-signal");
        let Some(server) = Server::start(&directory, &[]) else {
            return;
        };
        let filter = server.filter();
        let arguments = ["--format", "json", "-f", &filter, "--threads", threads];
        let Some(live) = Live::start(&arguments) else {
            return;
        };
        let trusted = ["-verify_return_error", "-CAfile", &server.certificate];

        server.connect(&[&["-tls1_2"], &trusted[..]].concat());
        let event = live.event();
        assert_eq!(event["outcome"], "success", "{event}");
        assert_eq!(event["source"], "lo");
        assert_eq!(event["tls"]["server_name"], "live.example");
        assert_eq!(
            event["server_certificates"][0]["common_name"],
            "live.example"
        );
        assert!(event["timing_ms"]["handshake"].as_f64() > Some(0.0));

        server.connect(&["-tls1_2", "-verify_return_error"]);
        let event = live.event();
        assert_eq!(event["outcome"], "failure", "{event}");
        assert_eq!(event["error"]["type"], "unknown_ca");
        assert_eq!(event["error"]["side"], "client");

        live.signal("-TERM");
        let (status, stdout, stderr) = live.end();
        assert_eq!(status.code(), Some(0));
        let stats: Value = serde_json::from_str(stdout.last().unwrap()).unwrap();
        assert_eq!(stats["type"], "stats");
        assert_eq!(stats["handshakes"], 2);
        let packets = &stats["packets"];
        assert_eq!(
            stderr[0],
            format!(
                "lo: {packets} packets; dropped: 0 by the kernel, 0 by the interface, 0 at the queue"
            )
        );
        assert!(
            stderr[1].ends_with("2 handshakes: 1 succeeded, 1 failed, 0 unknown"),
            "{stderr:?}"
        );
    }
}

#[test]
fn a_handshake_that_makes_no_progress_is_told_on_a_quiet_wire() {
    let Some(live) = Live::start(&["--format", "json", "--handshake-timeout", "1", "-f", "tcp"])
    else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = openssl(&["s_client", "-connect", &address.to_string()]).spawn();
    let Ok(client) = client.map(Running) else {
        eprintln!("skipped: openssl is not installed");
        return;
    };
    let of_ours = |event: &Value| event["server"]["port"] == address.port();
    let event = std::iter::repeat_with(|| live.event())
        .find(of_ours)
        .unwrap();
    assert_eq!(event["error"]["type"], "no_server_hello", "{event}");
    assert_eq!(event["closed_by"], "timeout");
    drop(client);
}

#[test]
fn a_key_log_is_followed_as_it_grows() {
    let directory = directory("live-keys");
    let keys = directory.join("keys.log");
    fs::write(&keys, "").unwrap();
    let keys = keys.to_str().unwrap();
    let Some(server) = Server::start(&directory, &["-tls1_3"]) else {
        return;
    };
    let Some(live) = Live::start(&["--format", "json", "-f", &server.filter(), "--keylog", keys])
    else {
        return;
    };
    for _ in 0..3 {
        server.connect(&["-keylogfile", keys]);
        let event = live.event();
        assert_eq!(event["evidence"], "decrypted", "{event}");
        assert_eq!(
            event["server_certificates"][0]["common_name"],
            "live.example"
        );
    }
}

#[test]
fn a_run_that_root_started_goes_on_without_privileges() {
    let Some(live) = Live::start(&["--format", "json", "-f", "tcp port 1"]) else {
        return;
    };
    let tasks = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", live.process.0.id())).unwrap();
        let name = |path: PathBuf| (fs::read_to_string(path.join("comm")).unwrap(), path);
        tasks.map(move |task| name(task.unwrap().path()))
    };
    // A thread has its parent's name until it runs.
    let begun = Instant::now();
    let is_there = |wanted: &str| tasks().any(|(name, _)| name.starts_with(wanted));
    while !is_there("capture ") || !is_there("signals") {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(10));
    }
    for (name, path) in tasks() {
        let status = fs::read_to_string(path.join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        assert_ne!(field("Uid:"), "0", "{name}");
        let capture_only = u64::from(name.starts_with("capture ")) << 13; // CAP_NET_RAW
        let permitted = u64::from_str_radix(&field("CapPrm:"), 16).unwrap();
        assert_eq!(permitted, capture_only, "{name}");
        assert_eq!(field("NoNewPrivs:"), "1", "{name}");
    }
}

#[test]
fn a_file_is_written_and_set_aside_when_it_is_large() {
    let directory = directory("live-output");
    for file in fs::read_dir(&*directory).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let file = directory.join("events.jsonl");
    let Some(server) = Server::start(&directory, &[]) else {
        return;
    };
    let filter = server.filter();
    let arguments = [
        "--format",
        "json",
        "-f",
        &filter,
        "--rotate-size",
        "1",
        "--user",
        "root",
    ];
    let output = ["--output", file.to_str().unwrap()];
    let Some(live) = Live::start(&[&arguments[..], &output].concat()) else {
        return;
    };
    for name in ["events.jsonl.1", "events.jsonl.2"] {
        server.connect(&["-tls1_2"]);
        let begun = Instant::now();
        while !directory.join(name).exists() {
            assert!(begun.elapsed() < PATIENCE, "no {name}");
            thread::sleep(Duration::from_millis(20));
        }
    }
    live.signal("-INT");
    let (status, stdout, _) = live.end();
    assert_eq!((status.code(), stdout.len()), (Some(0), 0));
    let first = fs::read_to_string(directory.join("events.jsonl.2")).unwrap();
    let event: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(event["tls"]["server_name"], "live.example");
}

#[test]
fn a_file_that_the_account_cannot_write_is_an_error_that_names_it() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: only what root starts goes on as somebody else");
        return;
    }
    let directory = directory("live-refused");
    fs::set_permissions(&*directory, fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.join("events.jsonl");
    let cases: [(&str, &Path, &str); 2] = [
        ("--output", &file, "error: cannot write `"),
        (
            "--save-failures",
            &directory,
            "error: cannot save failures in `",
        ),
    ];
    for (flag, path, error) in cases {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"))
            .env_clear()
            .args(["live", "-i", "lo", "--format", "json", flag])
            .arg(path)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        if stderr.contains("CAP_NET_RAW") {
            eprintln!("skipped: capturing takes CAP_NET_RAW");
            return;
        }
        assert!(stderr.starts_with(error), "{stderr}");
        assert!(
            stderr.contains("hint: the run goes on as user `"),
            "{stderr}"
        );
    }
}

#[test]
fn directories_are_made_for_the_account_that_the_run_goes_on_as() {
    let around = directory("live-directories");
    let _ = fs::remove_dir_all(around.join("new"));
    let [failures, certificates] = ["new/failures", "new/certificates"].map(|d| around.join(d));
    let Some(live) = Live::start(&[
        "--format",
        "json",
        "-f",
        "tcp port 1",
        "--save-failures",
        failures.to_str().unwrap(),
        "--extract-certs",
        certificates.to_str().unwrap(),
    ]) else {
        return;
    };
    let status = format!("/proc/{}", live.process.0.id());
    let user = fs::metadata(status).unwrap().uid();
    live.signal("-TERM");
    let (status, _, stderr) = live.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
    assert_eq!(fs::metadata(&failures).unwrap().uid(), user);
    assert!(certificates.join("index.json").exists());
}

/// A collector's HTTP server: tells of each request that it answered.
#[cfg(feature = "otel")]
fn collector() -> (u16, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                let line = std::mem::take(&mut line).to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
            if sender.send(()).is_err() {
                break;
            }
        }
    });
    (port, requests)
}

#[test]
#[cfg(feature = "otel")]
fn metrics_go_out_when_nobody_reads_events_any_more() {
    let directory = directory("live-closed");
    let Some(server) = Server::start(&directory, &[]) else {
        return;
    };
    let (port, requests) = collector();
    let endpoint = format!("http://127.0.0.1:{port}");
    let filter = server.filter();
    let arguments = ["--format", "json", "-f", &filter, "--otlp-endpoint"];
    let protocol = ["--otlp-protocol", "http/protobuf"];
    let arguments = [&arguments[..], &[&endpoint], &protocol].concat();
    let Some(live) = Live::start(&arguments) else {
        return;
    };
    requests.recv_timeout(PATIENCE).unwrap(); // at the start; the next is due in a minute
    let Live {
        mut process,
        stdout,
        stderr,
    } = live;
    drop(stdout); // noticed with the next line
    let begun = Instant::now();
    let status = loop {
        server.connect(&["-tls1_2"]);
        if let Some(status) = process.0.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE);
    };
    let said: Vec<_> = stderr.iter().collect();
    assert_eq!(status.code(), Some(0), "{said:?}");
    assert!(requests.try_recv().is_ok(), "{said:?}");
}

#[test]
fn a_service_manager_is_told() {
    let name = format!("tlscope-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let environment = [
        ("NOTIFY_SOCKET", format!("@{name}")),
        ("WATCHDOG_USEC", "9000000".into()),
    ];
    let Some(live) = Live::start_in(&environment, &["--format", "json", "-f", "tcp port 1"]) else {
        return;
    };
    let told = || {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    assert!(told().starts_with("READY=1\n"));
    assert_eq!(told().trim_end(), "WATCHDOG=1");
    live.signal("-TERM");
    while told().trim_end() != "STOPPING=1" {}
    assert_eq!(live.end().0.code(), Some(0));
}

#[test]
fn interfaces_are_listed() {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"))
        .env_clear()
        .arg("interfaces")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.lines().any(|line| line.starts_with("lo ")),
        "{stdout}"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_interface_that_is_not_there_is_an_error_with_a_hint() {
    let output = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"))
        .env_clear()
        .args(["live", "-i", "nosuch0"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: cannot capture on `nosuch0`: "),
        "{stderr}"
    );
    assert!(stderr.contains("\n\nhint: "), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_makes_no_run_is_an_error_with_a_hint() {
    let cases: [(&[&str], &str); 2] = [
        (&[], "error: no interface is given"),
        (
            &["-i", "lo", "--rotate-size", "1M"],
            "error: there is no file to set aside",
        ),
    ];
    for (arguments, error) in cases {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("tlscope"))
            .env_clear()
            .env("TLSCOPE_INTERFACE", "")
            .arg("live")
            .args(arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr.starts_with(error), "{stderr}");
        assert!(stderr.contains("\nhint: "), "{stderr}");
    }
}
