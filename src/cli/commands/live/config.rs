//! The arguments of `tlscope live`, as resolved.

use std::collections::HashSet;
use std::env;
use std::io::{IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tlscope::capture::live::LiveOptions;
use tlscope::sink::OutputFormat;
use tlscope::telemetry::{LiveMetricsConfig, Opened};

use super::host::{Account, DNS, Sandbox};
use super::key_logs::KeyLogs;
use crate::cli::config::args::{
    At, FileArgs, FlagSource, JudgementArgs, LiveArgs, LiveMetricsArgs,
};
use crate::cli::config::{Analysis, EventDestination, Needs, OutputConfig, memory};
use crate::cli::error::CliError;
use crate::cli::output::rotate::Rotation;
use crate::cli::say;

/// What `tlscope live` does.
#[derive(Debug)]
pub(super) struct LiveConfig {
    /// At least one, without duplicates.
    pub(super) interfaces: Vec<String>,
    pub(super) capture: LiveOptions,
    /// Key logs, which may grow during the run.
    pub(super) key_logs: KeyLogs,
    pub(super) threads: usize,
    pub(super) analysis: Analysis,
    pub(super) output: OutputConfig,
    /// Whether the terminal shows the state of the run.
    pub(super) shows_screen: bool,
    /// The account to continue as; `None` for the one that started the run.
    pub(super) account: Option<Account>,
    /// Whether the run enters a sandbox once it has started.
    pub(super) is_sandboxed: bool,
    /// Whether to find the processes behind handshakes.
    pub(super) attributes_processes: bool,
    /// Whether to report what is restricted.
    pub(super) is_verbose: bool,
    /// When the run ends by itself.
    pub(super) limits: Limits,
}

/// When a run ends by itself; `None` for never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) duration: Option<Duration>,
    /// Handshakes that are reported.
    pub(super) count: Option<u64>,
}

impl LiveConfig {
    /// Opens key logs, and looks at the terminal if the arguments do not decide. Neither key logs nor roots are read: that is for
    /// the account that the run continues as.
    pub(super) fn resolve(mut args: LiveArgs) -> Result<Self, CliError> {
        let interfaces = interfaces(args.interface)?;
        refuse_file_of(args.common.format, &args.file)?;
        let file = rotation(args.file)?;
        let account = Account::resolve(args.user.as_deref(), &environment)?;
        let key_logs = KeyLogs::open(&args.common.input.keylog, account.as_ref())?;
        let keys = key_logs.keys(memory::limit(&args.judgement.memory));
        if args.judgement.at == At::Now {
            args.judgement.at = At::Capture; // a live capture happens now
        }
        let timeout = &mut args.judgement.handshake_timeout;
        timeout.get_or_insert(tlscope::observer::defaults::LIVE_HANDSHAKE_TIMEOUT);
        let format = args.sources.of("format");
        if let (FlagSource::Default, Some(file)) = (format, &file) {
            args.common.format = format_of(&file.path).unwrap_or(args.common.format);
        }
        let mut needs = Needs::of(&args.common, &args.metrics); // of the format that the file's name chose
        needs.metrics |= args.live_metrics.prometheus.is_some();
        let shows_screen = shows_screen(file.is_some(), format, args.metrics.takes_stdout());
        needs.ladders |= shows_screen;
        let mut analysis =
            Analysis::without_roots(keys, needs, &args.common.input.tunnels, &args.judgement)?;
        let limit = &mut analysis.memory_limit;
        let buffers = interfaces.len() * args.fanout.max(1) as usize;
        let buffer_size = match args.sources.of("buffer_size") {
            FlagSource::Default => args
                .buffer_size
                .min(limit.of_capture_buffer() as u64)
                .min((limit.of_capture_buffers() / buffers) as u64),
            _ => args.buffer_size,
        };
        let all_buffers = usize::try_from(buffer_size)
            .unwrap_or(usize::MAX)
            .saturating_mul(buffers);
        if all_buffers > limit.bytes() / 2 {
            return Err(CliError::new(format_args!(
                "the interface buffers take {} MiB, and the memory limit is {} MiB",
                all_buffers >> 20,
                limit.bytes() >> 20,
            ))
            .hint("raise `--memory-limit`, or lower `--buffer-size`"));
        }
        *limit = limit.with_live_capture(all_buffers);
        let queue_bytes = limit.of_queue();
        let capture = LiveOptions {
            filter: args.common.input.filter.take(),
            snap_length: args.snaplen,
            buffer_size: u32::try_from(buffer_size).unwrap_or(u32::MAX),
            queue_bytes,
            is_promiscuous: args.promiscuous,
            threads: args.fanout,
            drains_buffer: false,
        };
        let threads = args.common.input.threads.for_live();
        let show_options = trust_options(&args.judgement);
        let mut output = OutputConfig::resolve(args.common, args.metrics);
        output.metrics.live = Some(LiveMetricsConfig {
            show_options,
            ..args.live_metrics.into()
        });
        output.metrics.memory = Some(analysis.memory_limit.of_metrics());
        output.room_for_texts = Some(analysis.memory_limit.of_texts());
        output.shows_processes = args.attribute_processes;
        output.destination = match file {
            Some(rotation) => EventDestination::File(rotation),
            None if shows_screen => EventDestination::Screen,
            None => EventDestination::StandardOutput,
        };
        Ok(Self {
            interfaces,
            capture,
            key_logs,
            threads,
            analysis,
            output,
            shows_screen,
            account,
            is_sandboxed: !args.no_sandbox,
            attributes_processes: args.attribute_processes,
            is_verbose: args.verbose,
            limits: Limits {
                duration: args.duration,
                count: args.count,
            },
        })
    }

    /// The files that the run reads and writes once it has started. No other place lists them.
    ///
    /// Links and missing files are looked up now, with the privileges of now.
    pub(super) fn sandbox(&self, metrics: Option<&Opened>) -> Sandbox {
        let mut sandbox = Sandbox::default();
        sandbox.allow_reading_named(&environment);
        for path in self.key_logs.paths().chain(self.analysis.roots.paths()) {
            sandbox.allow_reading(path);
        }
        for directory in metrics.into_iter().flat_map(Opened::watched_directories) {
            sandbox.allow_reading(&directory);
        }
        if let EventDestination::File(rotation) = &self.output.destination {
            sandbox.allow_writing(&rotation.path);
        }
        for directory in self.written_directories() {
            sandbox.allow_writing(directory);
        }
        let ports = metrics.map(Opened::collector_ports).unwrap_or_default();
        if !ports.is_empty() {
            let proxies = PROXIES.iter().filter_map(|name| environment(name));
            let proxies = proxies.filter_map(|url| tlscope::telemetry::port_of(&url));
            for port in ports.into_iter().chain(proxies).chain([DNS]) {
                sandbox.allow_connecting(port);
            }
        }
        if environment("NOTIFY_SOCKET").is_some_and(|socket| socket.starts_with('@')) {
            sandbox.allow_abstract_sockets();
        }
        sandbox
    }

    /// The directories that files are written into. They are created if missing.
    pub(super) fn written_directories(&self) -> impl Iterator<Item = &Path> {
        let failures = self.output.save_failures.as_ref();
        let failures = failures.map(|failures| &failures.directory);
        let certificates = &self.output.extract_certs;
        failures
            .into_iter()
            .chain(certificates)
            .map(PathBuf::as_path)
    }
}

/// Variables that name a proxy, through which OTLP over HTTP goes.
const PROXIES: [&str; 6] = [
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

/// The interfaces named, each once. An environment variable may be empty, which names none.
pub(in crate::cli::commands) fn interfaces(
    mut names: Vec<String>,
) -> Result<Vec<String>, CliError> {
    let mut known = HashSet::new();
    names.retain(|name| !name.is_empty() && known.insert(name.clone()));
    if names.is_empty() {
        return Err(CliError::new("no interface is given").hint(
            "name one with `-i NAME`: `tlscope interfaces` lists them, and `-i any` takes all",
        ));
    }
    Ok(names)
}

/// The file that handshakes are written to, if any.
fn rotation(args: FileArgs) -> Result<Option<Rotation>, CliError> {
    if args.output.is_none() && (args.rotate_size.is_some() || args.rotate_time.is_some()) {
        return Err(CliError::new("there is no file to rotate")
            .hint("`--rotate-size` and `--rotate-time` need `--output FILE`"));
    }
    Ok(args.output.map(|path| Rotation {
        path,
        size: args.rotate_size,
        age: args.rotate_time,
        keep: args.rotate_keep,
        opened: None,
    }))
}

/// An error if the file would get no handshakes: some formats are one document, at the end of the run.
fn refuse_file_of(format: OutputFormat, args: &FileArgs) -> Result<(), CliError> {
    let is_document = matches!(format, OutputFormat::Certs | OutputFormat::Cbom);
    if args.output.is_none() || !is_document {
        return Ok(());
    }
    Err(
        CliError::new("`--output` writes one event after another, and this format is a single document")
            .hint("redirect standard output instead: `tlscope live … > FILE` writes the document at the end of the run"),
    )
}

/// A run on a terminal shows the screen, unless handshakes or metrics go to standard output: the user chose a format, and no
/// file for it.
fn shows_screen(has_file: bool, format: FlagSource, stdout_is_taken: bool) -> bool {
    let is_free = (has_file || format == FlagSource::Default) && !stdout_is_taken;
    if !is_free {
        return false;
    }
    let is_terminal = [stdin().is_terminal(), stdout().is_terminal()];
    let lack = lack_of_terminal(is_terminal, &environment);
    if let Some((warning, hint)) = lack {
        say::warning(warning);
        say::hint(hint);
    }
    lack.is_none() && is_terminal == [true, true]
}

/// Why the screen cannot be shown to a user who may expect it, and what to do; `is_terminal` is of standard input and output.
fn lack_of_terminal(
    is_terminal: [bool; 2],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Option<(&'static str, &'static str)> {
    let cannot_move = || environment("TERM").is_some_and(|term| ["", "dumb"].contains(&&*term));
    match is_terminal {
        [true, true] if cannot_move() => Some((
            "no live screen: TERM is `dumb`, a terminal that cannot move its cursor; handshakes are written as lines",
            "set TERM to what the terminal is, for example `TERM=xterm-256color`, or use `--format table`",
        )),
        [false, true] => Some((
            "no live screen: standard input is not a terminal, so there are no keys; handshakes are written as lines",
            "do not redirect standard input, or use `--format table`",
        )),
        // Others that have no terminal, such as services and pipes, expect none.
        [false, false] if environment("SSH_CONNECTION").is_some() => Some((
            "no live screen: ssh gave this command no terminal; handshakes are written as lines",
            "use `ssh -t`, or `--format table`",
        )),
        _ => None,
    }
}

/// The format that the name of a file asks for, if the user does not.
fn format_of(path: &Path) -> Option<OutputFormat> {
    match path.extension()?.to_str()? {
        "json" | "jsonl" | "ndjson" => Some(OutputFormat::Json),
        "csv" => Some(OutputFormat::Csv),
        _ => None,
    }
}

/// The options under which `tlscope show` trusts what this run trusts, from any directory.
fn trust_options(args: &JudgementArgs) -> Vec<String> {
    if args.no_verify {
        return vec!["--no-verify".to_owned()];
    }
    let mut options = Vec::new();
    for (option, paths) in [("--ca-file", &args.ca_file), ("--ca-dir", &args.ca_dir)] {
        for path in paths {
            let absolute = std::path::absolute(path);
            let path = absolute.as_deref().unwrap_or(path);
            options.extend([option.to_owned(), path.display().to_string()]);
        }
    }
    if args.system_roots && !options.is_empty() {
        options.push("--system-roots".to_owned());
    }
    options
}

fn environment(name: &str) -> Option<String> {
    env::var(name).ok()
}

impl From<LiveMetricsArgs> for LiveMetricsConfig {
    fn from(args: LiveMetricsArgs) -> Self {
        Self {
            prometheus: args.prometheus,
            prometheus_hosts: args.prometheus_host,
            interval: args.metrics_interval,
            certificate_memory: Some(args.certificate_memory),
            watched_certificates: args.watch_cert,
            show_options: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::args::{Args, Command, InterfaceCommand};

    fn resolve(flags: &[&str]) -> Result<LiveConfig, CliError> {
        let arguments = ["tlscope", "live", "--no-verify"].iter().chain(flags);
        match Args::parse_from(arguments).command {
            Command::Interface(InterfaceCommand::Live(live)) => LiveConfig::resolve(live),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_interface_is_captured_once() {
        let config = resolve(&["-i", "eth0,lo", "-i", "eth0,"]).unwrap();
        assert_eq!(config.interfaces, ["eth0", "lo"]);
        assert!(resolve(&["-i", ""]).is_err());
    }

    #[test]
    fn a_saved_capture_is_shown_with_the_roots_that_the_run_trusts() {
        let options = |flags: &[&str]| {
            let arguments = ["tlscope", "live", "-i", "lo"].iter().chain(flags);
            match Args::parse_from(arguments).command {
                Command::Interface(InterfaceCommand::Live(live)) => trust_options(&live.judgement),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(options(&[]), [""; 0]);
        assert_eq!(options(&["--no-verify"]), ["--no-verify"]);
        assert_eq!(
            options(&["--ca-file", "/a b.pem", "--ca-dir", "/c", "--system-roots"]),
            ["--ca-file", "/a b.pem", "--ca-dir", "/c", "--system-roots"]
        );
        let relative = options(&["--ca-file", "ca.pem"]);
        assert!(Path::new(&relative[1]).is_absolute(), "{relative:?}");
        let config = resolve(&["-i", "lo", "--prometheus", "127.0.0.1:0"]).unwrap();
        let live = config.output.metrics.live.unwrap();
        assert_eq!(live.show_options, ["--no-verify"]);
    }

    #[test]
    fn buffers_fit_the_memory_allowed() {
        let buffer = |flags: &[&str]| {
            let limited = [&["-i", "a,b", "--memory-limit", "96M"], flags].concat();
            resolve(&limited).map(|config| config.capture.buffer_size >> 20)
        };
        assert_eq!(buffer(&[]).unwrap(), 6);
        assert_eq!(buffer(&["--fanout", "3"]).unwrap(), 2);
        assert_eq!(buffer(&["--buffer-size", "20M"]).unwrap(), 20);
        assert!(buffer(&["--buffer-size", "25M"]).is_err());
        let usual = resolve(&["-i", "a", "--memory-limit", "512M"]).unwrap();
        assert_eq!(usual.capture.buffer_size >> 20, 16);
    }

    #[test]
    fn a_user_who_expects_the_screen_learns_why_there_is_none() {
        let lack = |is_terminal, name: &'static str, value: &'static str| {
            let environment = move |asked: &str| (asked == name).then(|| value.to_owned());
            lack_of_terminal(is_terminal, &environment).map(|(warning, _)| warning)
        };
        let both = [true, true];
        assert_eq!(lack(both, "TERM", "xterm"), None);
        assert_eq!(lack(both, "SSH_CONNECTION", "192.0.2.1 22"), None);
        assert!(lack(both, "TERM", "dumb").unwrap().contains("TERM"));
        assert!(
            lack([false, true], "TERM", "xterm")
                .unwrap()
                .contains("keys")
        );
        let by_ssh = lack([false, false], "SSH_CONNECTION", "192.0.2.1 22");
        assert!(by_ssh.unwrap().contains("ssh"));
        assert_eq!(lack([false, false], "TERM", "dumb"), None, "a service");
        assert_eq!(lack([true, false], "SSH_CONNECTION", "x"), None, "a pipe");
    }

    #[test]
    fn rotation_needs_a_file() {
        assert!(resolve(&["-i", "lo", "--rotate-size", "1M"]).is_err());
        let config = resolve(&["-i", "lo", "--rotate-size", "1M", "--output", "x"]).unwrap();
        assert!(matches!(
            config.output.destination,
            EventDestination::File(Rotation {
                size: Some(1_048_576),
                ..
            })
        ));
    }

    #[test]
    fn the_name_of_a_file_decides_its_format_unless_the_user_does() {
        let format = |flags: &[&str]| {
            resolve(&[&["-i", "lo"], flags].concat())
                .unwrap()
                .output
                .format
        };
        assert_eq!(format(&["--output", "x.jsonl"]), OutputFormat::Json);
        assert_eq!(format(&["--output", "x.csv"]), OutputFormat::Csv);
        assert_eq!(format(&["--output", "x.log"]), OutputFormat::Table);
        let chosen = ["--output", "x.jsonl", "--format", "csv"];
        assert_eq!(format(&chosen), OutputFormat::Csv);
    }

    #[test]
    fn certificates_are_validated_at_the_time_of_their_handshake_even_for_now() {
        let config = resolve(&["-i", "lo", "--at", "now"]).unwrap();
        assert_eq!(config.analysis.judge_at, None);
    }

    #[test]
    fn the_sandbox_allows_the_files_that_the_flags_name() {
        let directory = env::temp_dir().join(format!("tlscope-live-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| directory.join(name).display().to_string();
        std::fs::write(path("keys"), "").unwrap();
        let [keys, output, failures] = ["keys", "events", "failures"].map(path);
        let flags = ["-i", "lo", "--keylog", &keys];
        let more = ["--output", &output, "--save-failures", &failures];
        let config = resolve(&[&flags[..], &more].concat()).unwrap();

        let mut expected = Sandbox::default();
        expected.allow_reading_named(&environment);
        expected.allow_reading(Path::new(&keys));
        expected.allow_writing(Path::new(&output));
        expected.allow_writing(Path::new(&failures));
        assert_eq!(config.sandbox(None), expected);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
