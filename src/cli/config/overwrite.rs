//! Outputs that would replace what the run reads, or each other, and standard input that is read twice.
//!
//! A slip of the hand must cost neither the evidence nor the policy, so such a run does not begin.

use std::fs;
use std::path::{Path, PathBuf};

use tlscope::capture::CaptureFiles;

use super::args::{Args, AssertionArgs, CheckArgs, Command, InputArgs, JudgementArgs, ReadArgs};
#[cfg(live_capture)]
use super::args::{InterfaceCommand, LiveArgs, RunArgs};
use crate::cli::error::CliError;
use crate::cli::input::roots::is_certificate;

/// The files that the arguments name. What is not a regular file, as a pipe or a terminal, cannot be lost.
#[derive(Debug, Default)]
pub(crate) struct RunFiles {
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    /// What is read from standard input.
    from_standard_input: Vec<&'static str>,
    /// The directory for certificates from the traffic, and those whose certificates are trusted.
    extracted: Option<PathBuf>,
    trusted: Vec<PathBuf>,
}

const CAPTURES: &str = "one of the captures";

/// Something that the run reads.
#[derive(Debug)]
struct Input {
    /// What it is, as in `the policy`.
    what: &'static str,
    path: PathBuf,
    /// If it is a directory, whether the run reads a file in it.
    includes: fn(&Path) -> bool,
}

/// A file that the run writes.
#[derive(Debug)]
struct Output {
    flag: &'static str,
    /// What happens to a file that exists, as in `replace`.
    effect: &'static str,
    path: PathBuf,
}

impl RunFiles {
    /// The files of a run with these arguments; none if it only prints something.
    pub(crate) fn of(args: &Args) -> Self {
        let mut files = Self::default();
        files.read("the configuration file", &args.config);
        match &args.command {
            Command::Read(args) => files.add_read(args),
            Command::Check(args) => files.add_check(args),
            #[cfg(live_capture)]
            Command::Interface(InterfaceCommand::Live(args)) => files.add_live(args),
            #[cfg(live_capture)]
            Command::Interface(InterfaceCommand::Run(args)) => files.add_run(args),
            // They write to standard output alone.
            Command::Show(args) => {
                let paths = args.arguments.iter().map(Path::new);
                files.take_standard_input(CAPTURES, paths);
            }
            Command::Targets(args) => {
                let paths = args.paths.iter().map(PathBuf::as_path);
                files.take_standard_input(CAPTURES, paths);
            }
            #[cfg(live_capture)]
            Command::Interface(InterfaceCommand::Interfaces) => {}
            Command::Schema { .. } | Command::Print { .. } | Command::Completions { .. } => {}
        }
        files
    }

    fn add_read(&mut self, args: &ReadArgs) {
        self.read_captures(&args.paths);
        self.read_key_logs(&args.common.input);
        self.read_roots(&args.judgement);
        self.extracted.clone_from(&args.common.extract_certs);
        self.write("--report", "replace", &args.report);
    }

    fn add_check(&mut self, args: &CheckArgs) {
        if args.print_policy.is_some() || args.explain.is_some() {
            return;
        }
        self.read_captures(&args.paths);
        self.read_key_logs(&args.input);
        self.read_roots(&args.judgement);
        self.add_assertions(&args.assertions);
    }

    #[cfg(live_capture)]
    fn add_live(&mut self, args: &LiveArgs) {
        if args.print_config {
            return;
        }
        self.read_key_logs(&args.common.input);
        self.read_roots(&args.judgement);
        let watched = &args.live_metrics.watch_cert;
        self.read_directories("a watched certificate", watched, is_certificate);
        self.extracted.clone_from(&args.common.extract_certs);
        self.write("--output", "append to", &args.file.output);
        if let Some(path) = &args.file.output {
            let rotated = rotated_files(path, args.file.rotate_keep);
            self.write("--output", "replace, when it is rotated,", &rotated);
        }
    }

    #[cfg(live_capture)]
    fn add_run(&mut self, args: &RunArgs) {
        self.read_roots(&args.judgement);
        self.add_assertions(&args.assertions);
        self.write("--save", "replace", &args.save);
        self.write("--keylog", "append to", &args.keylog);
    }

    fn add_assertions(&mut self, args: &AssertionArgs) {
        self.read_text("the policy", args.policy.as_deref());
        if args.update {
            self.write("--expect", "replace", &args.expect);
            self.write("--new-only", "replace", &args.new_only);
        } else {
            self.read_text("the baseline", args.expect.as_deref());
            self.read_text("the list of known violations", args.new_only.as_deref());
        }
        let reports = args.format.iter().filter_map(|to| to.file.as_ref());
        self.write("--format", "replace", reports);
    }

    fn read_captures(&mut self, paths: &[PathBuf]) {
        let is_capture = |path: &Path| CaptureFiles::try_open(path).is_ok();
        self.take_standard_input(CAPTURES, paths.iter().map(PathBuf::as_path));
        self.read_directories(CAPTURES, paths, is_capture);
    }

    /// A file, or standard input for `-`.
    fn read_text(&mut self, what: &'static str, path: Option<&Path>) {
        self.take_standard_input(what, path);
        self.read(what, path.map(Path::to_owned).as_ref());
    }

    /// Notes that `what` is read from standard input, once for each `-`.
    fn take_standard_input<'p>(
        &mut self,
        what: &'static str,
        paths: impl IntoIterator<Item = &'p Path>,
    ) {
        let paths = paths.into_iter();
        let standard = paths.filter(|path| path.as_os_str() == "-");
        self.from_standard_input.extend(standard.map(|_| what));
    }

    fn read_key_logs(&mut self, args: &InputArgs) {
        self.read("a key log", &args.keylog);
    }

    fn read_roots(&mut self, args: &JudgementArgs) {
        let what = "a file of trusted roots";
        self.read(what, &args.ca_file);
        self.read_directories(what, &args.ca_dir, is_certificate);
        self.trusted.extend(args.ca_dir.iter().cloned());
    }

    fn read<'p>(&mut self, what: &'static str, paths: impl IntoIterator<Item = &'p PathBuf>) {
        self.read_directories(what, paths, |_| true);
    }

    fn read_directories<'p>(
        &mut self,
        what: &'static str,
        paths: impl IntoIterator<Item = &'p PathBuf>,
        includes: fn(&Path) -> bool,
    ) {
        let paths = paths.into_iter().cloned();
        self.inputs.extend(paths.map(|path| Input {
            what,
            path,
            includes,
        }));
    }

    fn write<'p>(
        &mut self,
        flag: &'static str,
        effect: &'static str,
        paths: impl IntoIterator<Item = &'p PathBuf>,
    ) {
        let paths = paths.into_iter().cloned();
        self.outputs
            .extend(paths.map(|path| Output { flag, effect, path }));
    }

    /// Checks that no output replaces another file of the run, and that standard input is read once.
    ///
    /// # Errors
    ///
    /// Names the flag and the file that it would replace.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        if let [one, other, ..] = self.from_standard_input[..] {
            let what = match one == other {
                true => "given more than once".to_owned(),
                false => format!("{one} and {other}"),
            };
            let error = format_args!("`-` is {what}: standard input can be read only once");
            return Err(CliError::new(error));
        }
        self.check_extracted()?;
        for (index, output) in self.outputs.iter().enumerate() {
            let Some(place) = place(&output.path) else {
                continue;
            };
            let shown = output.path.display();
            if let Some(input) = self.inputs.iter().find(|input| input.is_at(&place)) {
                let Output { flag, effect, .. } = output;
                let what = input.what;
                return Err(CliError::new(format_args!(
                    "`{flag}` would {effect} `{shown}`, which is {what}"
                )));
            }
            let mut others = self.outputs.iter().take(index);
            if others.any(|other| is_at(&other.path, &place)) {
                let message = format_args!("two outputs would be written to `{shown}`");
                return Err(CliError::new(message).hint("give each a file of its own"));
            }
        }
        Ok(())
    }
}

impl RunFiles {
    /// Certificates from the traffic must not become trusted roots.
    fn check_extracted(&self) -> Result<(), CliError> {
        let Some(extracted) = &self.extracted else {
            return Ok(());
        };
        let is_same = |one: &Path, other: &Path| match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        };
        match self.trusted.iter().find(|one| is_same(one, extracted)) {
            None => Ok(()),
            Some(_) => {
                let shown = extracted.display();
                let error = format_args!(
                    "`--extract-certs` would write to `{shown}`, whose certificates `--ca-dir` trusts"
                );
                let hint = "certificates from the traffic would become trusted roots: name another directory";
                Err(CliError::new(error).hint(hint))
            }
        }
    }
}

/// The files to which rotation gives the names `path.1` to `path.KEEP`, if there are any.
#[cfg(live_capture)]
fn rotated_files(path: &Path, keep: u32) -> Vec<PathBuf> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let entries = fs::read_dir(parent.unwrap_or_else(|| Path::new(".")));
    let rotated = entries.into_iter().flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        let number = path.file_name().and_then(|file| {
            let number = name.to_str()?.strip_prefix(file.to_str()?)?;
            number.strip_prefix('.')?.parse::<u32>().ok()
        });
        number.is_some_and(|number| (1..=keep).contains(&number))
    });
    rotated.map(|entry| entry.path()).collect()
}

impl Input {
    /// Whether it is the file at `place`, or a directory that has the file.
    fn is_at(&self, place: &Path) -> bool {
        match fs::read_dir(&self.path) {
            Ok(entries) => entries
                .flatten()
                .any(|entry| is_at(&entry.path(), place) && (self.includes)(&entry.path())),
            Err(_) => is_at(&self.path, place),
        }
    }
}

fn is_at(path: &Path, place: &Path) -> bool {
    self::place(path).as_deref() == Some(place)
}

/// Where a regular file is or will be; `None` if there is something else.
fn place(path: &Path) -> Option<PathBuf> {
    match path.canonicalize() {
        Ok(place) => place.is_file().then_some(place),
        Err(_) => {
            let parent = path.parent().filter(|parent| *parent != Path::new(""));
            let parent = parent
                .unwrap_or_else(|| Path::new("."))
                .canonicalize()
                .ok()?;
            Some(parent.join(path.file_name()?))
        }
    }
}
