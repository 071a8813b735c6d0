//! `docs/telemetry.yaml` lists every metric and attribute that is exported, and is the source of the table in `docs/metrics.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::{env, fs};

use crate::support::program::printed;

/// A metric of the registry.
#[derive(Default)]
struct Metric {
    name: String,
    instrument: String,
    unit: String,
    brief: String,
    /// Attributes, and whether each is optional.
    attributes: Vec<(String, bool)>,
}

/// The metrics in the registry. It is YAML of a simple layout, which needs no parser.
fn registry() -> Vec<Metric> {
    let text = fs::read_to_string("docs/telemetry.yaml").unwrap();
    let mut metrics: Vec<Metric> = Vec::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ");
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        let value = value.trim_matches('"').to_owned();
        if key == "metric_name" {
            metrics.push(Metric {
                name: value,
                ..Metric::default()
            });
            continue;
        }
        let Some(metric) = metrics.last_mut() else {
            continue; // the attributes come before the metrics
        };
        match key {
            "instrument" => metric.instrument = value,
            "unit" => metric.unit = value,
            "brief" => metric.brief = value,
            "ref" => metric.attributes.push((value, false)),
            "requirement_level" => metric.attributes.last_mut().unwrap().1 = true,
            _ => {}
        }
    }
    metrics
}

impl Metric {
    /// What Prometheus calls it.
    fn prometheus_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        match self.unit.as_str() {
            "ms" => name.push_str("_milliseconds"),
            "s" => name.push_str("_seconds"),
            "By" if !name.ends_with("_bytes") => name.push_str("_bytes"),
            _ => {}
        }
        if self.instrument == "counter" && !name.ends_with("_total") {
            name.push_str("_total");
        }
        name
    }
}

/// The names and labels of a sample.
fn parse(sample: &str) -> (String, BTreeSet<String>) {
    let (name, rest) = sample.split_once(['{', ' ']).unwrap();
    let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
    let labels = labels.split("\",").filter_map(|pair| pair.split_once('='));
    (
        name.to_owned(),
        labels.map(|(name, _)| name.to_owned()).collect(),
    )
}

/// Captures that show most attributes.
fn captures() -> Vec<String> {
    let themes = [
        "day",
        "client-certificates",
        "refusals",
        "negotiation",
        "quic",
        "dtls",
        "eap",
    ];
    let cases = themes
        .into_iter()
        .flat_map(|theme| fs::read_dir(format!("fixtures/captures/{theme}")).unwrap());
    let files = cases.flat_map(|case| fs::read_dir(case.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().path().display().to_string());
    files.filter(|path| path.contains("/capture.")).collect()
}

#[test]
fn every_exported_metric_and_attribute_is_in_the_registry() {
    let known: BTreeMap<_, _> = registry()
        .into_iter()
        .map(|metric| (metric.prometheus_name(), metric))
        .collect();
    let all = "server.address,server.port,tls.client.identity,tls.client.subject,tls.client.issuer,remote.addr,error.message,tls.group,tls.alpn,tls.unused,certificate.serial,network.interface.name";
    let flags = ["read", "--format", "summary", "--metrics", "stdout"];
    let mut arguments = [&flags[..], &["--metric-attributes", all]].concat();
    let captures = captures();
    arguments.extend(captures.iter().map(String::as_str));
    let text = printed(&arguments);
    let samples = text.lines().filter(|line| line.starts_with("tls"));
    let samples: Vec<_> = samples
        .filter(|line| line.contains(' '))
        .map(parse)
        .collect();
    assert!(samples.len() > 100, "{}", samples.len());
    for (label, values) in [
        ("tls_protocol", &["tls", "dtls", "quic", "eap"][..]),
        ("network_transport", &["tcp", "udp", "eapol"]),
    ] {
        for value in values {
            let pair = format!(r#"{label}="{value}""#);
            for metric in [
                "tls_handshake_total{",
                "tls_handshake_duration_milliseconds_count{",
            ] {
                let mut lines = text.lines().filter(|line| line.starts_with(metric));
                assert!(lines.any(|line| line.contains(&pair)), "{metric} {pair}");
            }
        }
    }
    for name in [
        "tls_handshake_rejected_after_total",
        "tls_validation_errors_total",
    ] {
        let of_name = samples.iter().filter(|(sample, _)| sample == name);
        let has_server = of_name.map(|(_, labels)| labels.contains("server_address"));
        let has_server: Vec<bool> = has_server.collect();
        assert!(
            !has_server.is_empty() && !has_server.contains(&false),
            "{name}"
        );
    }
    let mut seen = BTreeSet::new();
    for (name, labels) in samples {
        let stem = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part));
        let metric = known
            .get(stem.unwrap_or(&name))
            .or_else(|| known.get(&name));
        let metric = metric.unwrap_or_else(|| panic!("`{name}` is not in docs/telemetry.yaml"));
        for label in labels.iter().filter(|label| *label != "le") {
            let attributes = metric.attributes.iter();
            let mut attributes = attributes.map(|(attribute, _)| attribute.replace('.', "_"));
            assert!(
                attributes.any(|attribute| attribute == *label),
                "`{label}` of `{name}`"
            );
            seen.insert(label.clone());
        }
    }
    assert!(
        seen.len() > 20,
        "the captures must show most attributes: {seen:?}"
    );
}

/// What real captures show, and the samples that it makes.
const CAUSED: &[(&str, &[&str])] = &[
    (
        "negotiation/mtls13-refused-by-http/capture.pcap",
        &[
            r#"tls_handshake_rejected_after_total{error_type="missing_client_cert",tls_side="server"} 1"#,
            "tls_certificate_hidden 1",
            "tlscope_packets_total 19",
            "tlscope_bytes_total 5280",
            r#"tls_handshake_phase_duration_milliseconds_sum{tls_phase="first_application_data",tls_version="TLS 1.3"} 9.412"#,
        ],
    ),
    (
        "dialogues/starttls-mail/capture.pcap",
        &[
            r#"tls_alerts_total{tls_alert="bad_certificate",tls_alert_level="fatal",tls_alert_sender="client"} 2"#,
            r#"tls_validation_errors_total{error_type="hostname_mismatch",tls_side="server"} 2"#,
            r#"tls_handshake_total{error_type="starttls_refused",network_transport="tcp",result="failure",tls_evidence="observed",tls_protocol="tls"} 2"#,
            r#"tls_handshake_duration_milliseconds_count{network_transport="tcp",result="success",tls_protocol="tls",tls_resumed="false",tls_version="TLS 1.2"} 2"#,
        ],
    ),
    (
        "streams/one-way-client/capture.pcap",
        &[
            r#"tlscope_handshakes_not_judged_total{cause="one_direction"} 1"#,
            "tlscope_gaps_total 1",
        ],
    ),
    (
        "server-certificates/alert-unknown-ca/capture.pcap",
        &[
            r#"tls_certificate_not_before_seconds{certificate_identity="www.example.org",certificate_issuer="Rogue Root",certificate_role="server",certificate_subject="www.example.org"} 1792789370"#,
            r#"tls_certificate_not_after_seconds{certificate_identity="www.example.org",certificate_issuer="Rogue Root",certificate_role="server",certificate_subject="www.example.org"} 2110741370"#,
            r#"tls_certificate_days_until_expiry{certificate_identity="www.example.org",certificate_issuer="Rogue Root",certificate_role="server",certificate_subject="www.example.org"} 3649.9995664355547"#,
            r#"tls_certificate_variants{certificate_identity="www.example.org",certificate_issuer="Rogue Root",certificate_role="server",certificate_subject="www.example.org"} 1"#,
        ],
    ),
];

#[test]
fn what_happens_in_captures_is_counted_under_its_name() {
    for (capture, samples) in CAUSED {
        let capture = format!("fixtures/captures/{capture}");
        let flags = ["read", "--format", "summary", "--no-verify"];
        let text = printed(&[&flags[..], &["--metrics", "stdout", &capture]].concat());
        for sample in *samples {
            let is_there = text.lines().any(|line| line == *sample);
            assert!(is_there, "{capture}: no {sample} in\n{text}");
        }
        let memory = text
            .lines()
            .find_map(|line| line.strip_prefix("tlscope_memory_bytes "));
        let memory: f64 = memory.unwrap().parse().unwrap();
        assert!(memory > 1e6, "{memory}");
    }
}

/// Where the tests are that cause what each metric counts and look at its value. A metric without one is missing from the list.
const SEEN_IN: &[(&str, &[&str])] = &[
    (
        "tests/telemetry_registry.rs",
        &[
            "tls.handshake.total",
            "tls.handshake.duration",
            "tls.handshake.phase.duration",
            "tls.handshake.rejected_after",
            "tls.certificate.days_until_expiry",
            "tls.certificate.not_after",
            "tls.certificate.not_before",
            "tls.certificate.variants",
            "tls.certificate.hidden",
            "tls.validation.errors",
            "tls.alerts",
            "tlscope.packets",
            "tlscope.bytes",
            "tlscope.gaps",
            "tlscope.memory",
            "tlscope.handshakes.not_judged",
        ],
    ),
    (
        "tests/export.rs",
        &[
            "tlscope.export.failures",
            "tlscope.export.discarded",
            "tlscope.export.rejected",
            "tlscope.export.throttled",
        ],
    ),
    // What moves the counters of a run is in tests/scripted/counters.rs.
    (
        "src/telemetry/started.rs",
        &[
            "tls.not_tls",
            "tls.starttls.not_taken",
            "tlscope.packets.dropped",
            "tlscope.interface.up",
            "tlscope.flows.open",
            "tlscope.handshakes.open",
            "tlscope.flows.evicted",
            "tlscope.segments.out_of_window",
            "tlscope.conflicting",
            "tlscope.attribution.sockets",
            "tlscope.events.lost",
            "tlscope.failures.unsaved",
            "tlscope.failures.evicted",
            "tlscope.certificates.unsaved",
            "tlscope.certificate.files.unreadable",
            "tlscope.certificate.files.omitted",
        ],
    ),
    (
        "src/telemetry/metrics/certificate_table.rs",
        &["tlscope.certificates.evicted"],
    ),
];

#[test]
fn every_metric_is_caused_in_some_test() {
    let names: BTreeSet<_> = registry().into_iter().map(|metric| metric.name).collect();
    let listed = SEEN_IN.iter().flat_map(|(_, names)| names.iter());
    let listed: BTreeSet<_> = listed.map(|name| (*name).to_owned()).collect();
    assert_eq!(names, listed);
    for (file, names) in SEEN_IN {
        let text = fs::read_to_string(file).unwrap();
        for name in *names {
            // Without the prefix that the file may add, and as Prometheus has it.
            let last = name.trim_start_matches("tlscope.").replace('.', "_");
            let stem = last
                .trim_start_matches("export_")
                .trim_start_matches("certificates_");
            assert!(text.contains(stem), "`{name}` in {file}");
        }
    }
}

#[test]
fn the_table_in_the_documentation_is_made_from_the_registry() {
    let mut table =
        String::from("| metric | kind, unit | attributes | meaning |\n| --- | --- | --- | --- |\n");
    for metric in registry() {
        let unit = match metric.unit.as_str() {
            unit if unit.is_empty() || unit.starts_with('{') => String::new(),
            unit => format!(", {unit}"),
        };
        let attributes = metric
            .attributes
            .iter()
            .filter(|(_, is_optional)| !is_optional);
        let attributes: Vec<_> = attributes.map(|(name, _)| format!("`{name}`")).collect();
        let (name, kind, brief) = (metric.name, metric.instrument, metric.brief);
        let _ = writeln!(
            table,
            "| `{name}` | {kind}{unit} | {} | {brief} |",
            attributes.join(", ")
        );
    }
    let path = "docs/metrics.md";
    let page = fs::read_to_string(path).unwrap();
    let (begin, end) = (
        "<!-- From telemetry.yaml. -->\n",
        "<!-- End of the table. -->\n",
    );
    let (before, rest) = page.split_once(begin).unwrap();
    let (stands, after) = rest.split_once(end).unwrap();
    if env::var_os("TLSCOPE_REWRITE_DOCS").is_some() {
        fs::write(path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(stands, table, "rewrite it with TLSCOPE_REWRITE_DOCS=1");
}
