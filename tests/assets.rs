//! The files that the program contains: they must use metrics that it exports.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::fixtures::package;
use crate::support::program::printed;
use crate::support::{needs, scratch};

/// A file that `tlscope print` prints.
fn asset(what: &str) -> String {
    printed(&["print", what])
}

/// The names of metrics in `text`: words with one of our prefixes.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("tls_") || word.starts_with("tlscope_"));
    ours.map(str::to_owned).collect()
}

/// Every exported metric, and the parts of histograms.
fn exported() -> BTreeSet<String> {
    let text = printed(&[
        "read",
        "--format",
        "summary",
        "--metrics",
        "stdout",
        "fixtures/captures/day/mtls-day/capture.pcapng",
    ]);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let mut names: BTreeSet<_> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| name.starts_with("tls"))
        .map(str::to_owned)
        .collect();
    // These need interfaces and exports, which a replay does not have.
    names.extend(
        [
            "tlscope_interface_up",
            "tlscope_export_failures_total",
            "tlscope_export_discarded_total",
            "tlscope_export_rejected_total",
            // These need an output of files.
            "tlscope_events_lost_total",
            "tlscope_failures_unsaved_total",
            "tlscope_certificates_unsaved_total",
            // These begin with their first count.
            "tls_handshake_rejected_after_total",
            "tls_validation_errors_total",
            "tls_not_tls_total",
        ]
        .map(str::to_owned),
    );
    names
}

/// Labels in the rules and the dashboard. All other words with one of our prefixes must be metrics.
const LABELS: [&str; 10] = [
    "tls_client_certificate",
    "tls_client_identity",
    "tls_key_exchange",
    "tls_not_tls_kind",
    "tls_protocol",
    "tls_version",
    "tls_phase",
    "tls_side",
    "tls_alert",
    "tls_alert_sender",
];

#[test]
fn rules_and_dashboard_use_only_exported_metrics() {
    let exported = exported();
    for what in ["alert-rules", "dashboard"] {
        let used = metrics_in(&asset(what));
        assert!(used.len() > 10, "{what}: {used:?}");
        for name in used {
            let is_known = exported.contains(&name)
                || exported.contains(&format!("{name}_bucket"))
                || LABELS.contains(&name.as_str());
            assert!(
                is_known,
                "{what} has `{name}`, which is not in {exported:#?}"
            );
        }
    }
}

#[test]
fn the_dashboard_is_json_and_no_two_panels_overlap() {
    let dashboard: serde_json::Value = serde_json::from_str(&asset("dashboard")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}

#[test]
fn the_systemd_unit_grants_one_capability_and_waits_for_readiness() {
    let unit = asset("systemd-unit");
    for line in [
        "Type=notify",
        "CapabilityBoundingSet=CAP_NET_RAW",
        "AmbientCapabilities=CAP_NET_RAW",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
    ] {
        assert!(unit.lines().any(|have| have == line), "{line}");
    }
}

#[test]
fn the_daemon_set_has_one_capability_and_flags_that_exist() {
    let manifest = asset("kubernetes");
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    let image = concat!("image: tlscope:", env!("CARGO_PKG_VERSION"));
    for line in [
        "kind: DaemonSet",
        "hostNetwork: true",
        "privileged: false",
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "drop: [ALL]",
        "add: [NET_RAW]",
        "automountServiceAccountToken: false",
        "livenessProbe:",
        "readinessProbe:",
        "memory: 512Mi",
        image,
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    let flags = lines.iter().filter_map(|line| line.strip_prefix("- --"));
    let flags: Vec<&str> = flags.filter_map(|flag| flag.split('=').next()).collect();
    let help = printed(&["live", "--help"]);
    assert!(flags.len() > 4, "{flags:?}");
    for flag in flags {
        assert!(help.contains(&format!("--{flag}")), "{flag}");
    }
}

/// A key with a spelling mistake would be an empty column, and no error.
#[test]
fn the_tables_of_clickhouse_read_keys_that_lines_and_records_have() {
    let schema = printed(&["schema"]);
    let sql = asset("clickhouse");
    let mut keys = BTreeSet::new();
    for arguments in sql.split("(line, ").skip(1) {
        let arguments = arguments.split(')').next().unwrap();
        let quoted = arguments.split('\'').skip(1).step_by(2);
        let types = ["Array(UInt16", "Nullable(Float64"];
        keys.extend(
            quoted
                .filter(|text| !types.contains(text))
                .map(str::to_owned),
        );
    }
    assert!(keys.len() > 20, "{keys:?}");
    for key in keys {
        assert!(schema.contains(&format!("\"{key}\"")), "{key}");
    }
    let registry = fs::read_to_string("docs/telemetry.yaml").unwrap();
    let attributes: BTreeSet<_> = sql.split("a['").skip(1).collect();
    assert!(attributes.len() > 20, "{attributes:?}");
    for attribute in attributes {
        let name = attribute.split('\'').next().unwrap();
        assert!(registry.contains(&format!("- id: {name}\n")), "{name}");
    }
}

#[test]
fn the_daemon_set_fits_the_schema_of_kubernetes() {
    let Some(validate) = needs::program("kubernetes-validate") else {
        return;
    };
    let path = scratch::folder("kubernetes").join("kubernetes.yaml");
    fs::write(&path, asset("kubernetes")).unwrap();
    let output = Command::new(validate).arg("--strict").arg(&path).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:#?}");
}

#[test]
fn the_collector_accepts_its_configuration() {
    let Some(otelcol) = needs::program("otelcol") else {
        return;
    };
    let path = scratch::folder("collector-config").join("collector.yaml");
    fs::write(&path, asset("collector-config")).unwrap();
    let mut command = Command::new(otelcol);
    command.arg("validate").arg("--config").arg(&path);
    for name in ["METRICS_ENDPOINT", "CLICKHOUSE_URL", "TRACES_ENDPOINT"] {
        command.env(name, "http://localhost:1");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:#?}");
}

/// The lines of a pod's specification in a manifest, without comments, sorted: a template orders some keys by name.
fn pod_lines(manifest: &str) -> Vec<&str> {
    let (_, pod) = manifest.split_once("      hostNetwork: true\n").unwrap();
    let lines = pod.lines().map(|line| line.split(" # ").next().unwrap());
    let mut lines: Vec<&str> = lines
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'))
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_chart_renders_the_daemon_set_that_is_printed() {
    let Some(helm) = needs::program("helm") else {
        return;
    };
    let render = |settings: &[&str]| {
        let chart = ["template", "tlscope", "packaging/helm/tlscope"];
        let output = Command::new(&helm).args(chart).args(settings).output();
        output.unwrap()
    };
    let output = render(&["--namespace", "tlscope"]);
    assert!(output.status.success(), "{output:#?}");
    let rendered = String::from_utf8(output.stdout).unwrap();
    assert_eq!(pod_lines(&rendered), pod_lines(&asset("kubernetes")));

    let output = render(&["--set", "podMonitor.enabled=true,extraArgs={--fanout=2}"]);
    let rendered = String::from_utf8(output.stdout).unwrap();
    assert!(rendered.contains("kind: PodMonitor") && rendered.contains(r#"- "--fanout=2""#));
    for wrong in ["port=70000", "extraArgs={eth0}", "interfaces=eth0"] {
        assert!(!render(&["--set", wrong]).status.success(), "{wrong}");
    }
}

/// Each rule leads to its section of the runbook, and every section belongs to a rule.
#[test]
fn the_runbook_has_a_section_for_each_alert() {
    let rules = asset("alert-rules");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<_> = alerts.collect();
    let runbook = fs::read_to_string("docs/runbook.md").unwrap();
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    let sections: BTreeSet<_> = sections.filter(|title| !title.contains(' ')).collect();
    assert_eq!(alerts, sections);
    for alert in alerts {
        let link = format!("docs/runbook.md#{}'", alert.to_lowercase());
        assert!(rules.contains(&link), "{alert}");
    }
}

/// An alert rule without a test for firing is only known to parse.
#[test]
fn every_alert_fires_in_some_test() {
    let tests = include_str!("alert-rules-test.yaml");
    for line in asset("alert-rules").lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            let fires = format!(r#"{{labels: '{{alertname="{alert}"}}', value: "#);
            assert!(tests.contains(&fires), "{alert}");
        }
    }
}

#[test]
fn promtool_accepts_the_rules_and_they_fire_when_they_should() {
    let Some(promtool) = needs::program("promtool") else {
        return;
    };
    let directory = scratch::folder("rules");
    fs::write(directory.join("alert-rules.yaml"), asset("alert-rules")).unwrap();
    let tests = include_str!("alert-rules-test.yaml");
    fs::write(directory.join("alert-rules-test.yaml"), tests).unwrap();
    for arguments in [
        ["check", "rules", "alert-rules.yaml"],
        ["test", "rules", "alert-rules-test.yaml"],
    ] {
        let mut command = Command::new(&promtool);
        let output = command.args(arguments).current_dir(&directory).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:#?}");
    }
}

/// Without the folders of benchmarks and examples, which Cargo.toml names, cargo refuses to read it.
#[test]
fn the_image_is_built_from_all_that_the_manifest_names() {
    let read = |name: &str| fs::read_to_string(package().join(name)).unwrap();
    let (manifest, dockerfile, ignored) = (
        read("Cargo.toml"),
        read("packaging/Dockerfile"),
        read(".dockerignore"),
    );
    let copies = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "));
    let from_here = copies.filter(|copy| !copy.starts_with("--from="));
    for source in from_here.flat_map(|copy| copy.rsplit_once(' ').unwrap().0.split(' ')) {
        let is_sent = ignored.lines().any(|line| line == format!("!{source}"));
        assert!(is_sent, ".dockerignore keeps `{source}` from the build");
    }
    let mut needed = vec!["Cargo.toml", "Cargo.lock", "README.md", "build.rs", "src"];
    for (kind, folder) in [("[[bench]]", "benches"), ("[[example]]", "examples")] {
        assert!(manifest.contains(kind));
        needed.push(folder);
    }
    for name in needed {
        let copied = |line: &str| line.starts_with("COPY ") && line.contains(name);
        assert!(dockerfile.lines().any(copied), "{name}");
        assert!(
            ignored.lines().any(|line| line == format!("!{name}")),
            "{name}"
        );
    }
}
