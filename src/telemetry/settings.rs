//! Resolves flags and `OTEL_*` variables into the outputs of a run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::Uri;

use super::{
    ConfigError, Histograms, MetricTemporality, MetricsConfig, OtlpCompression, OtlpProtocol,
    Signal,
};

/// Default limit of one export. OpenTelemetry's own 10 seconds are long for a user who
/// waits for a prompt.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time between two exports, as OpenTelemetry specifies.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

const FLAG_ENDPOINT: &str = "--otlp-endpoint";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";

/// The variables that configure the export of a signal: its own, then those of all signals.
struct Variables {
    endpoint: &'static str,
    protocol: [&'static str; 2],
    timeout: [&'static str; 2],
    insecure: [&'static str; 2],
    certificate: [&'static str; 2],
    client_certificate: [&'static str; 2],
    client_key: [&'static str; 2],
    /// The path of the signal over HTTP.
    path: &'static str,
}

macro_rules! variables {
    ($signal:literal, $path:literal) => {
        Variables {
            endpoint: concat!("OTEL_EXPORTER_OTLP_", $signal, "_ENDPOINT"),
            protocol: [
                concat!("OTEL_EXPORTER_OTLP_", $signal, "_PROTOCOL"),
                "OTEL_EXPORTER_OTLP_PROTOCOL",
            ],
            timeout: [
                concat!("OTEL_EXPORTER_OTLP_", $signal, "_TIMEOUT"),
                "OTEL_EXPORTER_OTLP_TIMEOUT",
            ],
            insecure: [
                concat!("OTEL_EXPORTER_OTLP_", $signal, "_INSECURE"),
                "OTEL_EXPORTER_OTLP_INSECURE",
            ],
            certificate: [
                concat!("OTEL_EXPORTER_OTLP_", $signal, "_CERTIFICATE"),
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
            ],
            client_certificate: [
                concat!("OTEL_EXPORTER_OTLP_", $signal, "_CLIENT_CERTIFICATE"),
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            ],
            client_key: [
                concat!("OTEL_EXPORTER_OTLP_", $signal, "_CLIENT_KEY"),
                "OTEL_EXPORTER_OTLP_CLIENT_KEY",
            ],
            path: $path,
        }
    };
}

const fn variables(signal: Signal) -> &'static Variables {
    match signal {
        Signal::Metrics => &const { variables!("METRICS", "/v1/metrics") },
        Signal::Logs => &const { variables!("LOGS", "/v1/logs") },
        Signal::Traces => &const { variables!("TRACES", "/v1/traces") },
    }
}

/// The outputs of a run.
#[derive(Debug, PartialEq)]
pub(super) struct Settings {
    /// The destination of each signal that goes to a collector.
    pub(super) otlp: Vec<Destination>,
    /// Whether text is written.
    pub(super) text: bool,
    /// Time between two exports.
    pub(super) interval: Duration,
}

/// A collector, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) signal: Signal,
    pub(super) protocol: OtlpProtocol,
    /// With a scheme and, over HTTP, the whole path.
    pub(super) url: String,
    /// Limit of one export.
    pub(super) timeout: Duration,
    /// Trust anchors that replace those of the host: the variable, and the PEM file it names.
    pub(super) certificate: Option<(&'static str, String)>,
    /// The certificate for a collector that asks for one.
    pub(super) client_certificate: Option<ClientIdentity>,
    /// In addition to those in the environment.
    pub(super) headers: Vec<(String, String)>,
    /// `None` to leave it to the environment.
    pub(super) compression: Option<OtlpCompression>,
    /// `None` to leave it to the environment.
    pub(super) temporality: Option<MetricTemporality>,
    /// Whether a failed export is retried. Periodic exports are not.
    pub(super) retries: bool,
    /// What the files hold that are named above, once they have been read.
    pub(super) pem: PemContents,
}

/// The PEM files of a certificate and its key, each with the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientIdentity {
    pub(super) chain: (&'static str, String),
    pub(super) key: (&'static str, String),
}

/// PEM files, opened while that is still permitted, and read and parsed once there are no privileges.
#[derive(Debug, Default)]
pub(super) struct PemFiles(Vec<(&'static str, String, File)>);

impl PemFiles {
    /// Opens the files of all destinations.
    pub(super) fn open(destinations: &[Destination]) -> Result<Self, ConfigError> {
        let mut files: Vec<(_, String, _)> = Vec::new();
        for (setting, path) in destinations.iter().flat_map(Destination::pem_files) {
            if files.iter().any(|(_, known, _)| known == path) {
                continue;
            }
            let file = File::open(path).map_err(|error| cannot_be_read(setting, path, &error))?;
            files.push((*setting, path.clone(), file));
        }
        Ok(Self(files))
    }

    pub(super) fn read(self) -> Result<PemContents, ConfigError> {
        let mut contents = BTreeMap::new();
        for (setting, path, mut file) in self.0 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)
                .map_err(|error| cannot_be_read(setting, &path, &error))?;
            contents.insert(path, bytes);
        }
        Ok(PemContents(Arc::new(contents)))
    }
}

fn cannot_be_read(setting: &'static str, path: &str, error: &io::Error) -> ConfigError {
    let text = error.to_string();
    let cause = text.split(" (os error").next().unwrap_or_default();
    setting_error(
        setting,
        path,
        format!("cannot be read: {}", cause.to_lowercase()),
    )
}

/// What PEM files hold, by their paths: keys, too, so it is not printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct PemContents(Arc<BTreeMap<String, Vec<u8>>>);

impl PemContents {
    /// The bytes of a file; none if it was not read.
    pub(super) fn of(&self, path: &str) -> &[u8] {
        self.0.get(path).map(Vec::as_slice).unwrap_or_default()
    }
}

impl fmt::Debug for PemContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    pub(super) fn resolve(
        config: &MetricsConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let environment = Environment(environment);
        let mut otlp =
            config.endpoint.is_some() || config.protocol.is_some() || !config.signals.is_empty();
        let mut text = config.stdout;
        let live = config.live.as_ref();
        let scrapes = live.is_some_and(|live| live.prometheus.is_some());
        let mut signals = config.signals.clone();
        if config.asks_for_nothing() {
            (otlp, text) = environment.outputs();
            signals = environment.signals();
        }
        if signals.is_empty() {
            signals.push(Signal::Metrics);
        }
        signals.sort_unstable();
        signals.dedup();
        if config.histograms == Histograms::Exponential && (text || scrapes) {
            return Err(ConfigError::Conflict(
                "exponential histograms cannot be written as Prometheus text: use `--histograms explicit`, or OTLP alone",
            ));
        }
        let otlp = if otlp { signals } else { Vec::new() };
        let otlp = otlp
            .into_iter()
            .map(|signal| Destination::resolve(config, signal, &environment));
        Ok(Self {
            otlp: otlp.collect::<Result<_, _>>()?,
            text,
            interval: match live.and_then(|live| live.interval) {
                Some(interval) => interval,
                None => environment
                    .milliseconds(&[INTERVAL])?
                    .unwrap_or(DEFAULT_INTERVAL),
            },
        })
    }
}

impl Destination {
    fn resolve(
        config: &MetricsConfig,
        signal: Signal,
        environment: &Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let variables = variables(signal);
        let stated = match config.protocol {
            Some(protocol) => Some(protocol),
            None => environment.protocol(&variables.protocol)?,
        };
        let endpoint = OtlpEndpoint::given(config, variables, environment);
        let protocol = stated
            .or_else(|| endpoint.as_ref()?.usual_protocol())
            .unwrap_or(OtlpProtocol::HttpProtobuf);
        let endpoint = endpoint.unwrap_or_else(|| OtlpEndpoint::usual(protocol));
        let timeout = match config.timeout {
            Some(timeout) => timeout,
            None => environment
                .milliseconds(&variables.timeout)?
                .unwrap_or(DEFAULT_TIMEOUT),
        };
        Ok(Self {
            signal,
            protocol,
            url: endpoint.url(protocol, variables, environment)?,
            timeout,
            certificate: environment.first(&variables.certificate),
            client_certificate: environment.client_certificate(variables)?,
            headers: config.headers.clone(),
            compression: config.compression,
            temporality: config.temporality,
            retries: config.live.is_none(),
            pem: PemContents::default(),
        })
    }

    /// The files that it takes to speak TLS with the collector.
    pub(super) fn pem_files(&self) -> impl Iterator<Item = &(&'static str, String)> {
        let identity = self.client_certificate.iter();
        let identity = identity.flat_map(|identity| [&identity.chain, &identity.key]);
        let files = self.certificate.iter().chain(identity);
        files.filter(|_| self.url.starts_with("https:"))
    }

    /// The URL for messages.
    pub(super) fn shown_url(&self) -> String {
        shown(&self.url)
    }
}

/// A URL for messages, without what may be secret: user name, password and query. A URL with a mistake in it may have these, too.
fn shown(url: &str) -> String {
    let without_scheme = url.split_once(":/").map_or(url, |(_, rest)| rest);
    let rest = without_scheme.trim_start_matches('/');
    let scheme = url.strip_suffix(rest).unwrap_or_default();
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{path}")
}

/// An endpoint as the user wrote it.
struct OtlpEndpoint {
    setting: &'static str,
    value: String,
}

impl OtlpEndpoint {
    fn given(
        config: &MetricsConfig,
        variables: &Variables,
        environment: &Environment<'_>,
    ) -> Option<Self> {
        let (setting, value) = match &config.endpoint {
            Some(value) => (FLAG_ENDPOINT, value.clone()),
            None => environment.first(&[variables.endpoint, ENDPOINT])?,
        };
        Some(Self { setting, value })
    }

    /// The default address of a collector.
    fn usual(protocol: OtlpProtocol) -> Self {
        let value = match protocol {
            OtlpProtocol::Grpc => "http://localhost:4317",
            OtlpProtocol::HttpProtobuf => "http://localhost:4318",
        };
        Self {
            setting: ENDPOINT,
            value: value.to_owned(),
        }
    }

    fn usual_protocol(&self) -> Option<OtlpProtocol> {
        let authority = self.value.rsplit("://").next()?.split('/').next()?;
        authority.ends_with(":4317").then_some(OtlpProtocol::Grpc)
    }

    /// The URL that requests go to.
    fn url(
        &self,
        protocol: OtlpProtocol,
        variables: &Variables,
        environment: &Environment<'_>,
    ) -> Result<String, ConfigError> {
        let uri: Uri = self
            .with_scheme(protocol, variables, environment)?
            .parse()
            .map_err(|_| self.error("is not a URL as in `http://localhost:4318`"))?;
        let Some(scheme @ ("http" | "https")) = uri.scheme_str() else {
            return Err(self.error("has an unknown scheme: use `http` or `https`"));
        };
        let authority = uri.authority().filter(|a| !a.host().is_empty());
        let authority = authority.ok_or_else(|| self.error("names no host"))?;
        let path = match protocol {
            OtlpProtocol::Grpc => String::new(),
            OtlpProtocol::HttpProtobuf => self.path(&uri, variables),
        };
        Ok(format!("{scheme}://{authority}{path}"))
    }

    fn with_scheme(
        &self,
        protocol: OtlpProtocol,
        variables: &Variables,
        environment: &Environment<'_>,
    ) -> Result<Cow<'_, str>, ConfigError> {
        let value = &self.value;
        if value.contains("://") {
            return Ok(Cow::Borrowed(value));
        }
        match environment.first(&variables.insecure) {
            Some((_, insecure)) if protocol == OtlpProtocol::Grpc => {
                let insecure = insecure.eq_ignore_ascii_case("true");
                let scheme = if insecure { "http" } else { "https" };
                Ok(Cow::Owned(format!("{scheme}://{value}")))
            }
            _ => {
                let value = shown(value);
                Err(self.error(format!(
                    "has no scheme: write `http://{value}` or `https://{value}`"
                )))
            }
        }
    }

    fn path(&self, uri: &Uri, variables: &Variables) -> String {
        let signal = variables.path;
        let path = uri.path();
        let query = uri.query().map_or_else(String::new, |q| format!("?{q}"));
        let path = path.trim_end_matches('/');
        if self.setting == variables.endpoint {
            format!("{}{query}", uri.path())
        } else if self.setting == FLAG_ENDPOINT
            && let Some(base) = without_signal(path)
        {
            format!("{base}{signal}{query}")
        } else {
            format!("{path}{signal}{query}")
        }
    }

    fn error(&self, problem: impl Into<String>) -> ConfigError {
        setting_error(self.setting, &shown(&self.value), problem)
    }
}

/// `path` without the path of a signal at its end; `None` if it has none.
fn without_signal(path: &str) -> Option<&str> {
    let signals = Signal::ALL.iter();
    let mut bases = signals.filter_map(|signal| path.strip_suffix(variables(*signal).path));
    bases.next()
}

/// Looks up variables; an empty one counts as unset, as OpenTelemetry specifies.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// Whether the variables alone ask for OTLP, and for text.
    fn outputs(&self) -> (bool, bool) {
        let is_true = |value: String| value.eq_ignore_ascii_case("true");
        if self.get("OTEL_SDK_DISABLED").is_some_and(is_true) {
            return (false, false);
        }
        match self.get("OTEL_METRICS_EXPORTER") {
            Some(list) => {
                let names = |name| list.split(',').any(|entry| entry.trim() == name);
                (names("otlp"), names("console"))
            }
            None => {
                let endpoints = [variables(Signal::Metrics).endpoint, ENDPOINT];
                (self.first(&endpoints).is_some(), false)
            }
        }
    }

    /// The signals that the variables ask for.
    fn signals(&self) -> Vec<Signal> {
        let asked = |name: &str| {
            let list = self.get(name).unwrap_or_default();
            list.split(',').any(|entry| entry.trim() == "otlp")
        };
        let mut signals = vec![Signal::Metrics];
        if asked("OTEL_LOGS_EXPORTER") {
            signals.push(Signal::Logs);
        }
        if asked("OTEL_TRACES_EXPORTER") {
            signals.push(Signal::Traces);
        }
        signals
    }

    fn protocol(&self, names: &[&'static str]) -> Result<Option<OtlpProtocol>, ConfigError> {
        let Some((setting, value)) = self.first(names) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(protocol) => Ok(Some(protocol)),
            Err(problem) => Err(setting_error(
                setting,
                &value,
                super::UnknownProtocol::to_string(&problem),
            )),
        }
    }

    /// The client certificate; an error if there is only a certificate or only a key.
    fn client_certificate(
        &self,
        variables: &Variables,
    ) -> Result<Option<ClientIdentity>, ConfigError> {
        let chain = self.first(&variables.client_certificate);
        let key = self.first(&variables.client_key);
        match (chain, key) {
            (Some(chain), Some(key)) => Ok(Some(ClientIdentity { chain, key })),
            (None, None) => Ok(None),
            (Some((setting, value)), None) => {
                let key = variables.client_key[1];
                let problem = format!("needs its key: set {key}, too");
                Err(setting_error(setting, &value, problem))
            }
            (None, Some((setting, value))) => {
                let chain = variables.client_certificate[1];
                let problem = format!("needs its certificate: set {chain}, too");
                Err(setting_error(setting, &value, problem))
            }
        }
    }

    fn milliseconds(&self, names: &[&'static str]) -> Result<Option<Duration>, ConfigError> {
        let Some((setting, value)) = self.first(names) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(milliseconds @ 1..) => Ok(Some(Duration::from_millis(milliseconds))),
            _ => Err(setting_error(
                setting,
                &value,
                "is not a positive number of milliseconds",
            )),
        }
    }
}

pub(super) fn setting_error(
    setting: &'static str,
    value: &str,
    problem: impl Into<String>,
) -> ConfigError {
    ConfigError::Setting {
        setting,
        value: value.to_owned(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let mut config = MetricsConfig::default();
        for flag in flags {
            match *flag {
                "stdout" => config.stdout = true,
                flag => match flag.parse() {
                    Ok(protocol) => config.protocol = Some(protocol),
                    Err(_) => config.endpoint = Some(flag.to_owned()),
                },
            }
        }
        Settings::resolve(&config, &|name| {
            let mut values = variables.iter().filter(|(key, _)| *key == name);
            values.next().map(|(_, value)| (*value).to_owned())
        })
    }

    fn otlp(flags: &[&str], variables: &[(&str, &str)]) -> (OtlpProtocol, String) {
        let destination = resolve(flags, variables).unwrap().otlp.remove(0);
        (destination.protocol, destination.url)
    }

    fn error(flags: &[&str], variables: &[(&str, &str)]) -> String {
        resolve(flags, variables).unwrap_err().to_string()
    }

    const METRICS: &Variables = variables(Signal::Metrics);
    const METRICS_ENDPOINT: &str = METRICS.endpoint;
    const PROTOCOLS: [&str; 2] = METRICS.protocol;
    const TIMEOUTS: [&str; 2] = METRICS.timeout;
    const INSECURES: [&str; 2] = METRICS.insecure;

    #[test]
    fn without_flags_and_variables_nothing_is_made() {
        let nothing = Settings {
            otlp: Vec::new(),
            text: false,
            interval: DEFAULT_INTERVAL,
        };
        assert_eq!(resolve(&[], &[]).unwrap(), nothing);
        let disabled = [(ENDPOINT, "http://c:4318"), ("OTEL_SDK_DISABLED", "true")];
        assert_eq!(resolve(&[], &disabled).unwrap(), nothing);
        let none = [(ENDPOINT, "http://c"), ("OTEL_METRICS_EXPORTER", "none")];
        assert_eq!(resolve(&[], &none).unwrap(), nothing);
        assert_eq!(resolve(&[], &[(ENDPOINT, "")]).unwrap(), nothing);
    }

    #[test]
    fn the_path_of_the_signal_is_appended_over_http_only() {
        let cases = [
            ("http://c:4318", "http://c:4318/v1/metrics"),
            ("http://c:4318/", "http://c:4318/v1/metrics"),
            ("https://c/otlp/?k=1", "https://c/otlp/v1/metrics?k=1"),
            ("http://c:4318/v1/metrics", "http://c:4318/v1/metrics"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/metrics"),
        ];
        for (endpoint, url) in cases {
            let expected = (OtlpProtocol::HttpProtobuf, url.to_owned());
            assert_eq!(otlp(&[endpoint], &[]), expected);
        }
        let expected = (OtlpProtocol::Grpc, "http://c:4318".to_owned());
        assert_eq!(otlp(&["http://c:4318/", "grpc"], &[]), expected);
    }

    #[test]
    fn each_signal_has_its_own_path_and_its_own_variables() {
        let config = MetricsConfig {
            endpoint: Some("http://c:4318/v1/metrics".to_owned()),
            signals: vec![Signal::Traces, Signal::Metrics, Signal::Logs],
            ..MetricsConfig::default()
        };
        let settings = Settings::resolve(&config, &|_| None).unwrap();
        let urls: Vec<_> = settings.otlp.iter().map(|d| d.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "http://c:4318/v1/metrics",
                "http://c:4318/v1/logs",
                "http://c:4318/v1/traces"
            ]
        );
        let variables = [
            (ENDPOINT, "http://c:4318"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://d:4317"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
        ];
        let settings = resolve(&[], &variables).unwrap();
        assert_eq!(settings.otlp[1].protocol, OtlpProtocol::Grpc);
        assert_eq!(settings.otlp[1].url, "http://d:4317");
        assert_eq!(settings.otlp.len(), 2);
    }

    #[test]
    fn exponential_histograms_are_for_otlp_alone() {
        let config = |stdout| MetricsConfig {
            endpoint: Some("http://c:4318".to_owned()),
            histograms: Histograms::Exponential,
            stdout,
            ..MetricsConfig::default()
        };
        assert!(Settings::resolve(&config(false), &|_| None).is_ok());
        let error = Settings::resolve(&config(true), &|_| None).unwrap_err();
        assert!(error.to_string().contains("`--histograms explicit`"));
    }

    #[test]
    fn the_endpoint_of_the_signal_is_used_as_it_is() {
        let variables = [(METRICS_ENDPOINT, "http://c/in"), (ENDPOINT, "http://d")];
        assert_eq!(otlp(&[], &variables).1, "http://c/in");
        assert_eq!(otlp(&[], &variables[1..]).1, "http://d/v1/metrics");
        assert_eq!(
            otlp(&["http://e"], &variables).1,
            "http://e/v1/metrics",
            "flags win"
        );
    }

    #[test]
    fn the_protocol_is_the_configured_one_or_the_default_of_the_port() {
        assert_eq!(otlp(&["http://c:4317"], &[]).0, OtlpProtocol::Grpc);
        assert_eq!(otlp(&["http://c:4318"], &[]).0, OtlpProtocol::HttpProtobuf);
        let variables = [(PROTOCOLS[1], "http/protobuf")];
        assert_eq!(
            otlp(&["http://c:4317"], &variables).0,
            OtlpProtocol::HttpProtobuf
        );
        let expected = (OtlpProtocol::Grpc, "http://localhost:4317".to_owned());
        assert_eq!(otlp(&["grpc"], &variables), expected);
    }

    #[test]
    fn flags_alone_choose_the_outputs() {
        let variables = [(ENDPOINT, "http://c:4318")];
        let settings = resolve(&["stdout"], &variables).unwrap();
        assert!(settings.text && settings.otlp.is_empty());
        let variables = [("OTEL_METRICS_EXPORTER", "console, otlp")];
        let settings = resolve(&[], &variables).unwrap();
        assert!(settings.text && settings.otlp.len() == 1);
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_rejected_unless_a_grpc_variable_chooses_one() {
        assert_eq!(
            error(&["127.0.0.1:4318"], &[]),
            "--otlp-endpoint: `127.0.0.1:4318` has no scheme: write `http://127.0.0.1:4318` or `https://127.0.0.1:4318`"
        );
        let insecure = [(ENDPOINT, "c:4317"), (INSECURES[1], "TRUE")];
        assert_eq!(otlp(&[], &insecure).1, "http://c:4317");
        let secure = [(ENDPOINT, "c:4317"), (INSECURES[1], "false")];
        assert_eq!(otlp(&[], &secure).1, "https://c:4317");
        let http = [(ENDPOINT, "c:4318"), (INSECURES[1], "true")];
        assert!(error(&[], &http).contains("has no scheme"));
    }

    #[test]
    fn no_message_about_an_endpoint_has_a_secret() {
        for (url, expected) in [
            (
                "http://me:s3cr3t@c:4318/x@y?key=s3cr3t",
                "http://c:4318/x@y",
            ),
            ("me:s3cr3t@c:4317", "c:4317"),
            ("http:/me:s3cr3t@c", "http:/c"),
            ("http://c?s3cr3t", "http://c"),
            ("s3cr3t@", ""),
            ("http://", "http://"),
        ] {
            assert_eq!(shown(url), expected);
        }
        for endpoint in [
            "me:s3cr3t@c:4317",
            "ftp://s3cr3t@c",
            "http://me:s3cr3t@a b",
            "http://me:s3cr3t@:1",
        ] {
            let error = error(&[endpoint], &[]);
            assert!(error.starts_with("--otlp-endpoint: `"), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_rejected_by_name() {
        let endpoints = [
            ("ftp://c", "has an unknown scheme: use `http` or `https`"),
            ("http://", "is not a URL as in `http://localhost:4318`"),
            ("http://a b", "is not a URL as in `http://localhost:4318`"),
            ("http://:1", "names no host"),
        ];
        for (endpoint, problem) in endpoints {
            let error = error(&[endpoint], &[]);
            let expected = format!("--otlp-endpoint: `{endpoint}` {problem}");
            assert!(error.starts_with(&expected), "{error}");
        }
        let variables = [
            (PROTOCOLS[1], "http/json", "is not supported"),
            (TIMEOUTS[1], "0", "is not a positive number"),
            (TIMEOUTS[0], "5s", "is not a positive number"),
            (INTERVAL, "1m", "is not a positive number"),
            (METRICS.client_key[1], "k.pem", "needs its"),
            (METRICS.client_certificate[0], "c.pem", "needs its"),
        ];
        for (name, value, problem) in variables {
            let error = error(&["http://c"], &[(name, value)]);
            assert!(
                error.starts_with(&format!("{name}: `{value}` {problem}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let flags = ["http://me:s3cr3t@c:4318/x@y"];
        let destination = resolve(&flags, &[]).unwrap().otlp.remove(0);
        assert!(destination.url.contains("s3cr3t"));
        assert_eq!(destination.shown_url(), "http://c:4318/x@y/v1/metrics");
    }
}
