//! `--watch-cert`: certificates on disk, read again when they change.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use x509_parser::pem::Pem;

use super::certificates::{Observation, attributes};
use crate::certificate::{Certificate, CertificateTime};
use crate::pattern;
use crate::time::Timestamp;

/// Certificates that are told of: more than a host serves, and twice a bundle of all public CAs.
pub(super) const MAX_FILES: usize = 1_000;

/// Files that are looked at, so that a pattern that matches a whole disk ends.
const MAX_PATHS: usize = 4_096;

/// Bytes of a file: a bundle of all public CAs has 230 KB.
const MAX_BYTES: u64 = 4 << 20;

/// What files of certificates are called, where a directory says only where they are.
const EXTENSIONS: [&str; 5] = ["pem", "crt", "cer", "cert", "der"];

/// The certificates in the files that the user named.
#[derive(Debug)]
pub(super) struct WatchedFiles {
    paths: Vec<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<PathBuf, Watched>,
    now: Timestamp,
}

/// A file as it was when it was read last.
#[derive(Debug, Default)]
struct Watched {
    version: Option<Version>,
    certificates: Vec<Expiring>,
    /// Why it cannot be read now.
    problem: Option<String>,
}

/// When a certificate expires, and the attributes that identify it.
type Expiring = (CertificateTime, Arc<[KeyValue]>);

/// What differs between a file and what replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// What a look at the files came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// What cannot be read that could be before: one line each.
    pub(super) news: Vec<String>,
    /// Files that cannot be read.
    pub(super) unreadable: usize,
}

impl WatchedFiles {
    /// `paths` are files, directories, and patterns with `*` and `?`.
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let state = State {
            files: BTreeMap::new(),
            now: Timestamp::MIN,
        };
        Self {
            paths: paths.to_vec(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Looks for files that came, changed or went, at the moment `now`.
    pub(super) fn refresh(&self, now: Timestamp) -> Survey {
        let mut survey = Survey::default();
        let mut before = std::mem::take(&mut self.state().files);
        let mut files = BTreeMap::new();
        for (path, is_named) in self.found() {
            let old = before.remove(&path).unwrap_or_default();
            let file = old.look_again(&path, is_named, &mut survey);
            files.insert(path, file);
        }
        // What a pattern or a directory brought, and may not be looked at any more, is still there.
        for (path, old) in before {
            let is_denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
            if fs::metadata(&path).is_err_and(is_denied) {
                let file = old.look_again(&path, false, &mut survey);
                files.insert(path, file);
            }
        }
        survey.unreadable = files.values().filter(|f| f.problem.is_some()).count();
        *self.state() = State { files, now };
        survey
    }

    /// Every certificate, latest expiry first, as the gauges need it.
    pub(super) fn observe(&self) -> Vec<Observation> {
        let state = self.state();
        let mut all: Vec<_> = state.files.values().flat_map(|f| &f.certificates).collect();
        all.sort_by_key(|(not_after, _)| *not_after);
        all.truncate(MAX_FILES);
        let latest_first = all.into_iter().rev();
        latest_first
            .map(|(not_after, attributes)| Observation::new(*not_after, state.now, attributes))
            .collect()
    }

    /// Where files are looked for, and where those found really are.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let parent = |path: &Path| path.parent().map(Path::to_owned);
        let mut directories: Vec<_> = self.paths.iter().map(|path| fixed_part(path)).collect();
        let real = self
            .found()
            .into_keys()
            .flat_map(|path| path.canonicalize());
        directories.extend(real.filter_map(|path| parent(&path)));
        for directory in &mut directories {
            if directory.as_os_str().is_empty() {
                *directory = PathBuf::from(".");
            }
        }
        directories.sort();
        directories.dedup();
        directories
    }

    /// The files there are, and whether the user named each of them itself.
    fn found(&self) -> BTreeMap<PathBuf, bool> {
        let mut found = BTreeMap::new();
        for path in &self.paths {
            let is_pattern = path.to_string_lossy().contains(['*', '?']);
            let mut matching = if is_pattern && !path.exists() {
                expand(path)
            } else {
                Vec::new()
            };
            if matching.is_empty() {
                matching.push(path.clone()); // a pattern that fits nothing is told of like a file that is not there
            }
            for path in matching {
                match entries(&path) {
                    Some(entries) => found.extend(entries.into_iter().map(|entry| (entry, false))),
                    None => {
                        found.insert(path, !is_pattern);
                    }
                }
                if found.len() > MAX_PATHS {
                    break;
                }
            }
        }
        while found.len() > MAX_PATHS {
            found.pop_last();
        }
        found
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: it is replaced at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// The file as it is now. What was read stays while it cannot be read again: a
    /// certificate does not stop to expire when its file's permissions change.
    fn look_again(mut self, path: &Path, is_named: bool, survey: &mut Survey) -> Self {
        let read = fs::metadata(path).and_then(|metadata| {
            if !metadata.is_file() && !metadata.is_dir() {
                return Err(io::Error::other("not a file")); // to open a pipe would hold us up
            }
            let version = Version::of(&metadata);
            if self.version == Some(version) && self.problem.is_none() {
                return Ok(None);
            }
            let bytes = read(path)?;
            Ok(Some((version, bytes)))
        });
        let problem = match read {
            Ok(None) => return self,
            Ok(Some((version, bytes))) => {
                self.version = Some(version);
                match certificates(&bytes, path) {
                    Ok(certificates) if certificates.is_empty() && is_named => {
                        self.certificates = certificates;
                        "holds no certificate".to_owned()
                    }
                    Ok(certificates) => {
                        self.certificates = certificates;
                        self.problem = None;
                        return self;
                    }
                    Err(problem) => problem,
                }
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::NotFound {
                    self.certificates.clear();
                }
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                let by_whom = match error.kind() {
                    io::ErrorKind::PermissionDenied => " to the user that the run goes on as",
                    _ => "",
                };
                format!("cannot be read: {}{by_whom}", text.to_lowercase())
            }
        };
        if self.problem.as_ref() != Some(&problem) {
            let path = path.display();
            survey.news.push(format!("certificate `{path}` {problem}"));
        }
        self.problem = Some(problem);
        self
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    let length = file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if length as u64 > MAX_BYTES {
        return Err(io::Error::other("too large for a certificate"));
    }
    Ok(bytes)
}

/// What is in a file of PEM or DER; keys and other things in it are left alone.
fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<Expiring>, String> {
    let path = path.display().to_string();
    let mut found = Vec::new();
    let mut take = |der: &[u8]| -> Result<(), String> {
        let facts = Certificate::from_der(der).facts;
        let facts = facts.map_err(|problem| format!("cannot be understood: {problem}"))?;
        let attributes = attributes(&facts, "file", Some(&path));
        found.push((facts.not_after, attributes));
        Ok(())
    };
    if bytes.windows(5).any(|text| text == b"-----") {
        for block in Pem::iter_from_buffer(bytes) {
            let block = block.map_err(|error| {
                format!("cannot be understood: {}", error.to_string().to_lowercase())
            })?;
            if block.label.ends_with("CERTIFICATE") {
                take(&block.contents)?;
            }
        }
    } else {
        take(bytes)?;
    }
    Ok(found)
}

/// The files of certificates in a directory; `None` if it is none.
fn entries(path: &Path) -> Option<Vec<PathBuf>> {
    let is_certificate = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| {
            let extension = extension.to_ascii_lowercase();
            EXTENSIONS.contains(&extension.as_str())
        })
    };
    let entries = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    let files = entries.filter(|path| is_certificate(path) && path.is_file());
    Some(files.take(MAX_PATHS).collect())
}

/// The directory that all files are in that `path` may ever mean.
fn fixed_part(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    let parts = path.components();
    let is_fixed = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?']);
    let fixed: PathBuf = parts.take_while(is_fixed).collect();
    if fixed == path {
        path.parent().map(Path::to_owned).unwrap_or_default()
    } else {
        fixed
    }
}

/// The paths that fit a pattern; each part of it may have `*` and `?`.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let text = component.as_os_str().to_string_lossy();
        let is_pattern = matches!(component, Component::Normal(_)) && text.contains(['*', '?']);
        found = if is_pattern {
            let matching = found
                .iter()
                .flat_map(|directory| children(directory, &text));
            matching.take(MAX_PATHS).collect()
        } else {
            let joined = found.into_iter().map(|path| path.join(component));
            joined.filter(|path| path.exists()).collect()
        };
    }
    found
}

/// The entries of a directory whose names fit; hidden ones only where the pattern begins with a dot.
fn children(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let listed = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let entries = fs::read_dir(listed).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let fits = names.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with('.') == pattern.starts_with('.')
            && fits(pattern.as_bytes(), name.as_bytes())
    });
    fits.map(|name| directory.join(name)).collect()
}

/// Whether `name` fits as a whole; unlike names of hosts, those of files tell upper from lower case.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    pattern::fits(pattern, name, [b'*', b'?'])
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A directory of this test's own.
    fn directory() -> PathBuf {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tlscope-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn certificate(name: &str) -> rcgen::Certificate {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap()
    }

    const DAY_BEFORE: Timestamp = Timestamp::from_seconds(1_893_369_600);

    fn told(files: &WatchedFiles) -> Vec<String> {
        let subject = |observation: &Observation| {
            let mut attributes = observation.attributes.iter();
            let subject = attributes.find(|a| a.key.as_str() == "certificate.subject");
            subject.unwrap().value.to_string()
        };
        let mut subjects: Vec<_> = files.observe().iter().map(subject).collect();
        subjects.sort();
        subjects
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn a_pipe_is_not_waited_for() {
        let directory = directory();
        let path = directory.join("pipe.pem");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no mkfifo");
            return;
        }
        let survey = WatchedFiles::new(std::slice::from_ref(&path)).refresh(DAY_BEFORE);
        assert_eq!(survey.unreadable, 1);
        let news = format!(
            "certificate `{}` cannot be read: not a file",
            path.display()
        );
        assert_eq!(survey.news, [news]);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn pem_and_der_are_told_with_path_and_days() {
        let directory = directory();
        let pem = directory.join("a.pem");
        fs::write(&pem, certificate("a").pem()).unwrap();
        fs::write(directory.join("b.der"), certificate("b").der()).unwrap();
        fs::write(directory.join("notes.txt"), "no certificate").unwrap();
        let files = WatchedFiles::new(std::slice::from_ref(&directory));
        assert_eq!(files.refresh(DAY_BEFORE), Survey::default());
        assert_eq!(told(&files), ["a", "b"]);

        let files = WatchedFiles::new(std::slice::from_ref(&pem));
        files.refresh(DAY_BEFORE);
        let observations = files.observe();
        assert_eq!(observations[0].days_until_expiry, 1.0);
        let path = KeyValue::new("certificate.path", pem.display().to_string());
        assert!(observations[0].attributes.contains(&path));
        let role = KeyValue::new("certificate.role", "file");
        assert!(observations[0].attributes.contains(&role));
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_goes_is_forgotten() {
        let directory = directory();
        let path = directory.join("server.crt");
        fs::write(&path, certificate("old").pem()).unwrap();
        let files = WatchedFiles::new(std::slice::from_ref(&directory));
        files.refresh(DAY_BEFORE);
        fs::write(&path, certificate("a new one").pem()).unwrap();
        files.refresh(DAY_BEFORE);
        assert_eq!(told(&files), ["a new one"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(files.refresh(DAY_BEFORE), Survey::default());
        assert!(told(&files).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_said_once_and_the_others_go_on() {
        let directory = directory();
        let missing = directory.join("missing.pem");
        let broken = directory.join("broken.der");
        let good = directory.join("good.pem");
        fs::write(&broken, [0x30, 0x02]).unwrap();
        fs::write(&good, certificate("good").pem()).unwrap();
        let files = WatchedFiles::new(&[missing.clone(), broken.clone(), good]);
        let survey = files.refresh(DAY_BEFORE);
        assert_eq!(survey.unreadable, 2);
        let expected = [
            format!(
                "certificate `{}` cannot be understood: cut short",
                broken.display()
            ),
            format!(
                "certificate `{}` cannot be read: no such file or directory",
                missing.display()
            ),
        ];
        assert_eq!(survey.news, expected);
        assert_eq!(told(&files), ["good"]);

        let survey = files.refresh(DAY_BEFORE);
        assert_eq!((survey.unreadable, survey.news.len()), (2, 0));

        fs::write(&missing, certificate("late").pem()).unwrap();
        assert_eq!(files.refresh(DAY_BEFORE).unreadable, 1);
        assert_eq!(told(&files), ["good", "late"]);
    }

    #[test]
    fn a_private_key_beside_a_certificate_is_nobodys_business() {
        let directory = directory();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let both = key.clone() + &certificate("both").pem();
        fs::write(directory.join("both.pem"), both).unwrap();
        fs::write(directory.join("key.pem"), key).unwrap();
        let files = WatchedFiles::new(&[directory]);
        assert_eq!(files.refresh(DAY_BEFORE), Survey::default());
        assert_eq!(told(&files), ["both"]);
    }

    #[test]
    fn a_pattern_finds_what_is_there_each_time() {
        let directory = directory();
        for site in ["a.example", "b.example"] {
            fs::create_dir_all(directory.join(site)).unwrap();
            let path = directory.join(site).join("fullchain.pem");
            fs::write(path, certificate(site).pem()).unwrap();
        }
        let files = WatchedFiles::new(&[directory.join("*.example/full?hain.pem")]);
        files.refresh(DAY_BEFORE);
        assert_eq!(told(&files), ["a.example", "b.example"]);
        fs::rename(directory.join("a.example"), directory.join("c")).unwrap();
        assert_eq!(files.refresh(DAY_BEFORE), Survey::default());
        assert_eq!(told(&files), ["b.example"]);
        fs::remove_dir_all(directory.join("b.example")).unwrap();
        let survey = files.refresh(DAY_BEFORE);
        assert_eq!((survey.unreadable, survey.news.len()), (1, 1), "{survey:?}");
        assert!(told(&files).is_empty());
    }

    #[test]
    fn directories_are_where_files_are_and_where_links_lead() {
        let directory = directory().canonicalize().unwrap();
        let (live, archive) = (directory.join("live"), directory.join("archive"));
        for path in [&live, &archive] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(archive.join("a1.pem"), certificate("a").pem()).unwrap();
        std::os::unix::fs::symlink("../archive/a1.pem", live.join("a.pem")).unwrap();
        let directories = |path: &str| WatchedFiles::new(&[directory.join(path)]).directories();
        assert_eq!(directories("live/a.pem"), [archive.clone(), live.clone()]);
        assert_eq!(directories("live/*.pem"), [archive.clone(), live.clone()]);
        assert_eq!(directories("live"), [archive, live.clone()]);
        assert_eq!(directories("live/missing.pem"), [live]);
        assert_eq!(
            WatchedFiles::new(&["a.pem".into()]).directories(),
            [Path::new(".")]
        );
    }

    #[test]
    fn names_fit_as_a_whole() {
        for (pattern, name) in [("*.pem", "a.pem"), ("a?c", "abc"), ("*a*b", "xaxxb")] {
            assert!(fits(pattern.as_bytes(), name.as_bytes()), "{pattern}");
        }
        for (pattern, name) in [("*.pem", "a.pem~"), ("a?c", "ac"), ("A", "a")] {
            assert!(!fits(pattern.as_bytes(), name.as_bytes()), "{pattern}");
        }
    }
}
