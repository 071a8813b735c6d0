//! A simulated year of certificate rotations on a virtual clock: the shipped alert rules, evaluated by promtool on
//! what a scrape of each hour exports, fire for the rotations that went wrong and for nothing else.
//!
//! Every run simulates the weeks in which the rotations go wrong; `TLSCOPE_EFFORT=10` the whole year.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use super::testing::{certificate, handshake};
use super::{LiveMetricsConfig, MetricsConfig, Prepared};
use crate::certificate::{Certificate, CertificateTime};
use crate::sink::Sink;
use crate::stats::Health;
use crate::time::Timestamp;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Backends behind each name.
const BACKENDS: usize = 3;

/// The start of the simulation, far enough from 1970 for certificates that were issued before it.
const START: i64 = 20_000 * DAY;

/// A name, and the certificates that its backends serve.
struct Endpoint {
    name: String,
    lifetime: i64,
    /// How long before its end a certificate is renewed.
    renewed_before: i64,
    served: [Arc<Certificate>; BACKENDS],
    trouble: Option<Trouble>,
}

/// A rotation that goes wrong from one moment to another, in hours since the start.
#[derive(Clone, Copy)]
struct Trouble {
    kind: TroubleKind,
    from: i64,
    until: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TroubleKind {
    /// Nothing is renewed.
    Stuck,
    /// The last backend does not load what is renewed.
    MissesABackend,
}

fn issued(name: &str, at: i64, lifetime: i64) -> Arc<Certificate> {
    let mut certificate = certificate(name, at + lifetime);
    if let Ok(facts) = &mut certificate.facts {
        facts.not_before = CertificateTime(at);
    }
    Arc::new(certificate)
}

impl Endpoint {
    /// `age` is that of its certificate at the start.
    fn new(name: String, lifetime: i64, renewed_before: i64, age: i64) -> Self {
        let first = issued(&name, START - age, lifetime);
        Self {
            served: [(); BACKENDS].map(|()| Arc::clone(&first)),
            name,
            lifetime,
            renewed_before,
            trouble: None,
        }
    }

    /// Renews what is due in this hour: one backend loads the new certificate at once, the others in the hours after.
    fn rotate(&mut self, hour: i64) {
        let now = START + hour * HOUR;
        let trouble = self
            .trouble
            .filter(|trouble| (trouble.from..trouble.until).contains(&hour));
        let kind = trouble.map(|trouble| trouble.kind);
        if kind == Some(TroubleKind::Stuck) {
            return;
        }
        let end =
            |certificate: &Certificate| certificate.facts.as_ref().map_or(0, |f| f.not_after.0);
        for backend in 0..BACKENDS {
            if kind == Some(TroubleKind::MissesABackend) && backend + 1 == BACKENDS {
                continue;
            }
            let is_due = now >= end(&self.served[backend]) - self.renewed_before;
            if !is_due {
                continue;
            }
            let previous = backend
                .checked_sub(1)
                .map(|previous| Arc::clone(&self.served[previous]));
            self.served[backend] = match previous {
                None => issued(&self.name, now, self.lifetime),
                Some(new) if end(&new) > end(&self.served[backend]) => new,
                Some(_) => continue,
            };
            return; // the next backend has its turn in the next hour
        }
    }
}

/// A hundred endpoints with rotations spread over the lifetime of their certificates; five go wrong.
fn endpoints() -> Vec<Endpoint> {
    let kinds = [
        ("day", 40, DAY, DAY / 2),
        ("week", 30, 6 * DAY, 3 * DAY),
        ("acme", 20, 47 * DAY, 47 * DAY / 3),
        ("year", 10, 365 * DAY, 30 * DAY),
    ];
    let mut endpoints = Vec::new();
    for (kind, count, lifetime, renewed_before) in kinds {
        for number in 0..count {
            let age = (lifetime - renewed_before) * number / count;
            let name = format!("{kind}-{number}");
            endpoints.push(Endpoint::new(name, lifetime, renewed_before, age));
        }
    }
    let mut trouble = |name: &str, age: Option<i64>, kind, from: i64, until: i64| {
        let endpoint = endpoints
            .iter_mut()
            .find(|endpoint| endpoint.name == name)
            .unwrap();
        if let Some(age) = age {
            *endpoint = Endpoint::new(
                name.to_owned(),
                endpoint.lifetime,
                endpoint.renewed_before,
                age,
            );
        }
        endpoint.trouble = Some(Trouble { kind, from, until });
    };
    // Certificates of a day are renewed at half of it: this one runs out, and is renewed six hours later.
    trouble("day-7", None, TroubleKind::Stuck, 484, 514);
    // Due on day 5, with 15.7 days left; renewed on day 16.
    trouble("acme-3", Some(26 * DAY), TroubleKind::Stuck, 0, 16 * 24);
    // Due on day 10, with 30 days left; renewed on day 33.
    trouble("year-2", Some(325 * DAY), TroubleKind::Stuck, 0, 33 * 24);
    // Due on day 8; the last backend is restarted on day 14, with 10 days left.
    trouble(
        "acme-9",
        Some(23 * DAY),
        TroubleKind::MissesABackend,
        0,
        13 * 24,
    );
    // Due on day 3 of its life; the last backend is restarted with a day and a half left.
    trouble(
        "week-4",
        Some(0),
        TroubleKind::MissesABackend,
        0,
        4 * 24 + 12,
    );
    endpoints
}

/// The alerts that must fire, with the name of the endpoint.
const EXPECTED: [(&str, &str); 6] = [
    ("TLSCertificateExpired", "day-7"),
    ("TLSCertificateExpiring", "acme-3"),
    ("TLSCertificateExpiring", "day-7"),
    ("TLSCertificateExpiring", "year-2"),
    ("TLSCertificateRenewedNotEverywhere", "acme-9"),
    ("TLSCertificateRenewedNotEverywhere", "week-4"),
];

/// The samples of certificates that a scrape gets: series and value.
fn scrape(address: SocketAddr) -> Vec<(String, String)> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let samples = answer
        .lines()
        .filter(|line| line.starts_with("tls_certificate_"));
    let samples = samples.filter(|line| !line.starts_with("tls_certificate_hidden"));
    let samples = samples.filter_map(|line| line.rsplit_once(' '));
    samples
        .map(|(series, value)| (series.to_owned(), value.to_owned()))
        .collect()
}

/// The values of a series, hour by hour, as promtool writes them.
#[derive(Default)]
struct Values {
    text: String,
    last: String,
    repeated: usize,
}

impl Values {
    fn push(&mut self, value: &str) {
        if value == self.last {
            self.repeated += 1;
            return;
        }
        self.flush();
        self.last = value.to_owned();
    }

    fn flush(&mut self) {
        if !self.last.is_empty() {
            let _ = write!(self.text, "{}x{} ", self.last, self.repeated); // a string takes everything
        }
        self.repeated = 0;
    }
}

fn promtool_test(series: &mut BTreeMap<String, Values>, hours: i64) -> String {
    let mut test = String::from(
        "rule_files: [alert-rules.yaml]\nevaluation_interval: 1h\ntests:\n  - interval: 1h\n    input_series:\n",
    );
    for (series, values) in series {
        values.flush();
        let _ = writeln!(
            test,
            "      - series: '{series}'\n        values: '{}'",
            values.text.trim()
        );
    }
    let _ = writeln!(
        test,
        "      - series: tlscope_packets_total\n        values: 0+1x{hours}"
    );
    let fired = "count by (alertname, certificate_subject) (count_over_time(ALERTS{alertstate=\"firing\"}[400d]))";
    let _ = writeln!(
        test,
        "    promql_expr_test:\n      - expr: '{fired}'\n        eval_time: {}h\n        exp_samples:",
        hours - 1
    );
    for (alert, name) in EXPECTED {
        let _ = writeln!(
            test,
            "          - {{labels: '{{alertname=\"{alert}\", certificate_subject=\"{name}\"}}', value: 1}}"
        );
    }
    test
}

#[test]
fn a_year_of_rotations_raises_the_alerts_of_those_that_go_wrong_and_no_other() {
    let effort = env::var("TLSCOPE_EFFORT")
        .ok()
        .and_then(|text| text.parse().ok());
    let days = if effort.unwrap_or(1) >= 10 { 365 } else { 40 };
    let hours = days * 24;
    let config = MetricsConfig {
        live: Some(LiveMetricsConfig {
            prometheus: Some(([127, 0, 0, 1], 0).into()),
            certificate_memory: Some(Duration::from_secs(86_400)),
            ..LiveMetricsConfig::default()
        }),
        ..MetricsConfig::default()
    };
    let output = Box::new(std::io::sink());
    let prepared = Prepared::new(&config, &|_| None, output, Arc::new(|_| {}));
    let prepared = prepared.unwrap().unwrap();
    let address = prepared.prometheus_address().unwrap();
    let mut telemetry = prepared.start().unwrap();

    let mut endpoints = endpoints();
    let mut series: BTreeMap<String, Values> = BTreeMap::new();
    for hour in 0..hours {
        let time = Timestamp::from_seconds(START + hour * HOUR);
        for endpoint in &mut endpoints {
            endpoint.rotate(hour);
            for certificate in &endpoint.served {
                let mut event = handshake();
                event.time = time;
                event.judged_at = time;
                event.server_certificates = Some([Arc::clone(certificate)].into());
                telemetry.handshake(&event).unwrap();
            }
        }
        telemetry.tick(time, &Health::default()).unwrap();
        let samples = scrape(address);
        let distinct: BTreeSet<_> = samples.iter().map(|(series, _)| series).collect();
        assert_eq!(
            distinct.len(),
            400,
            "four gauges for each endpoint, at hour {hour}"
        );
        for (name, value) in samples {
            series.entry(name).or_default().push(&value);
        }
        assert_eq!(
            series.len(),
            400,
            "no series ever begins or ends, at hour {hour}"
        );
    }

    let promtool = env::var("TLSCOPE_TEST_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let directory = env::temp_dir().join(format!("tlscope-year-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let rules = include_str!("../assets/alert-rules.yaml");
    fs::write(directory.join("alert-rules.yaml"), rules).unwrap();
    let test = promtool_test(&mut series, hours);
    fs::write(directory.join("year.yaml"), test).unwrap();
    let mut command = Command::new(promtool);
    let tested = command
        .args(["test", "rules", "year.yaml"])
        .current_dir(&directory)
        .output();
    let tested = match tested {
        Ok(tested) => tested,
        Err(error) => {
            assert!(env::var_os("CI").is_none(), "promtool: {error}");
            eprintln!("skipped: promtool: {error}");
            return;
        }
    };
    assert!(
        tested.status.success(),
        "{}: {tested:#?}",
        directory.display()
    );
    fs::remove_dir_all(directory).unwrap();
}
