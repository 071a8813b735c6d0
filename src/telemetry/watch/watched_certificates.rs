//! The certificates in files on disk, and what has changed since they were read.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use x509_parser::pem::Pem;

use super::search::{MAX_PATHS, entries, expand, fixed_part};
use crate::certificate::Certificate;
use crate::telemetry::metrics::certificate_table::{CertificateObservation, Validity, attributes};
use crate::time::Timestamp;

/// Most certificates in the metrics: more than a host serves, and twice a bundle of all public CAs.
pub(crate) const MAX_CERTIFICATES: usize = 1_000;

/// Bytes of a file: a bundle of all public CAs has 230 KB.
const MAX_BYTES: u64 = 4 << 20;

/// The certificates in the files that the user named.
#[derive(Debug)]
pub(crate) struct WatchedCertificates {
    paths: Vec<PathBuf>,
    /// Whether serial numbers are attributes.
    with_serial: bool,
    state: Mutex<WatchState>,
}

#[derive(Debug)]
struct WatchState {
    files: BTreeMap<PathBuf, Watched>,
    now: Timestamp,
    /// Whether the user was warned of certificates without metrics.
    warned_of_omitted: bool,
}

/// A file as it was when it was last read.
#[derive(Debug, Default)]
struct Watched {
    version: Option<FileVersion>,
    certificates: Vec<Expiring>,
    /// Whether the user named the file itself.
    is_named: bool,
    /// Why it cannot be read now.
    problem: Option<String>,
}

/// When a certificate expires, and the attributes that identify it.
type Expiring = (Validity, Arc<[KeyValue]>);

/// What distinguishes a file from the one that replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileVersion {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// What checking the files found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Files that could be read before and cannot any more: one line each.
    pub(crate) problems: Vec<String>,
    /// Files that cannot be read.
    pub(crate) unreadable: usize,
    /// Certificates beyond [`MAX_CERTIFICATES`].
    pub(crate) omitted: usize,
}

impl WatchedCertificates {
    /// `paths` are files, directories, and patterns with `*` and `?`.
    pub(crate) fn new(paths: &[PathBuf], with_serial: bool) -> Self {
        let state = WatchState {
            files: BTreeMap::new(),
            now: Timestamp::MIN,
            warned_of_omitted: false,
        };
        Self {
            paths: paths.to_vec(),
            with_serial,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Reads files that are new or have changed, and drops those that are gone, at the moment `now`.
    pub(crate) fn refresh(&self, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        let mut before = std::mem::take(&mut self.state().files);
        let mut files = BTreeMap::new();
        for (path, is_named) in self.found() {
            let old = before.remove(&path).unwrap_or_default();
            let mut file = old.read_again(&path, is_named, self.with_serial, &mut changes);
            file.is_named = is_named;
            files.insert(path, file);
        }
        // A file found by pattern or directory that may no longer be looked at still exists.
        for (path, old) in before {
            let is_denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
            if fs::metadata(&path).is_err_and(is_denied) {
                let file = old.read_again(&path, false, self.with_serial, &mut changes);
                files.insert(path, file);
            }
        }
        changes.unreadable = files.values().filter(|f| f.problem.is_some()).count();
        let certificates: usize = files.values().map(|file| file.certificates.len()).sum();
        changes.omitted = certificates.saturating_sub(MAX_CERTIFICATES);
        let mut state = self.state();
        if changes.omitted > 0 && !state.warned_of_omitted {
            changes.problems.push(format!(
                "too many certificates are watched: {} of {certificates} have no metrics, those that expire last; \
                 files that `--watch-cert` names come first",
                changes.omitted
            ));
        }
        *state = WatchState {
            files,
            now,
            warned_of_omitted: changes.omitted > 0,
        };
        drop(state);
        changes
    }

    /// The certificates, latest expiry first, as the gauges need it. If there are too many: those of
    /// files that the user named, then those that expire first.
    pub(crate) fn observe(&self) -> Vec<CertificateObservation> {
        let state = self.state();
        let files = state.files.values();
        let mut all: Vec<_> = files
            .flat_map(|file| {
                let is_named = file.is_named;
                file.certificates.iter().map(move |one| (!is_named, one))
            })
            .collect();
        all.sort_by_key(|(is_found, (validity, _))| (*is_found, validity.not_after));
        all.truncate(MAX_CERTIFICATES);
        let mut all: Vec<_> = all
            .into_iter()
            .map(|(_, certificate)| certificate)
            .collect();
        all.sort_by_key(|(validity, _)| validity.not_after);
        let latest_first = all.into_iter().rev();
        latest_first
            .map(|(validity, attributes)| {
                CertificateObservation::new(*validity, state.now, attributes)
            })
            .collect()
    }

    /// The directories in which files are searched, and those that the files found are really in.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
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

    /// The files that exist, and whether the user named each one itself.
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
                matching.push(path.clone()); // a pattern that matches nothing is reported like a missing file
            }
            for path in matching {
                match entries(&path) {
                    Some(entries) => found.extend(entries.into_iter().map(|entry| (entry, false))),
                    None => {
                        found.insert(path, !is_pattern);
                    }
                }
                if found.len() > 2 * MAX_PATHS {
                    drop_surplus(&mut found);
                }
            }
        }
        drop_surplus(&mut found);
        found
    }

    fn state(&self) -> MutexGuard<'_, WatchState> {
        // A panic elsewhere leaves the state whole: it is replaced at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// The file as it is now. If it cannot be read again, what was read before stays: a
    /// certificate does not stop expiring when the permissions of its file change.
    fn read_again(
        mut self,
        path: &Path,
        is_named: bool,
        with_serial: bool,
        changes: &mut Changes,
    ) -> Self {
        let read = fs::metadata(path).and_then(|metadata| {
            if !metadata.is_file() && !metadata.is_dir() {
                return Err(io::Error::other("not a file")); // opening a pipe would block
            }
            let version = FileVersion::of(&metadata);
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
                match certificates(&bytes, path, with_serial) {
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
                    io::ErrorKind::PermissionDenied => " to the user that tlscope runs as",
                    _ => "",
                };
                format!("cannot be read: {}{by_whom}", text.to_lowercase())
            }
        };
        if self.problem.as_ref() != Some(&problem) {
            let path = path.display();
            changes
                .problems
                .push(format!("certificate `{path}` {problem}"));
        }
        self.problem = Some(problem);
        self
    }
}

/// Drops the last paths beyond [`MAX_PATHS`], of those that the user did not name.
fn drop_surplus(found: &mut BTreeMap<PathBuf, bool>) {
    let named = found.values().filter(|is_named| **is_named).count();
    let mut room = MAX_PATHS.saturating_sub(named);
    found.retain(|_, is_named| {
        let stays = *is_named || room > 0;
        room -= usize::from(!*is_named && stays);
        stays
    });
}

impl FileVersion {
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

/// What is wrong with a file that holds something else than certificates. No more: a parser's error may
/// reveal bytes of a file that the reader of the warning must not see.
const DAMAGED: &str = "is damaged, or holds something other than certificates";

/// The certificates in a PEM or DER file; keys and other blocks are ignored.
fn certificates(bytes: &[u8], path: &Path, with_serial: bool) -> Result<Vec<Expiring>, String> {
    let path = path.display().to_string();
    let mut found = Vec::new();
    let mut take = |der: &[u8]| -> Result<(), String> {
        let facts = Certificate::from_der(der).facts;
        let facts = facts.map_err(|_| DAMAGED.to_owned())?;
        let attributes = attributes(&facts, "file", Some(&path), with_serial);
        found.push((Validity::of(&facts), attributes));
        Ok(())
    };
    if bytes.windows(5).any(|text| text == b"-----") {
        for block in Pem::iter_from_buffer(bytes) {
            let block = block.map_err(|_| DAMAGED.to_owned())?;
            if block.label.ends_with("CERTIFICATE") {
                take(&block.contents)?;
            }
        }
    } else {
        take(bytes)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A new directory for this test.
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

    fn subjects_of(files: &WatchedCertificates) -> Vec<String> {
        let subject = |observation: &CertificateObservation| {
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
    fn a_pipe_is_not_opened() {
        let directory = directory();
        let path = directory.join("pipe.pem");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no mkfifo");
            return;
        }
        let changes =
            WatchedCertificates::new(std::slice::from_ref(&path), false).refresh(DAY_BEFORE);
        assert_eq!(changes.unreadable, 1);
        let news = format!(
            "certificate `{}` cannot be read: not a file",
            path.display()
        );
        assert_eq!(changes.problems, [news]);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn pem_and_der_have_their_path_and_days_until_expiry() {
        let directory = directory();
        let pem = directory.join("a.pem");
        fs::write(&pem, certificate("a").pem()).unwrap();
        fs::write(directory.join("b.der"), certificate("b").der()).unwrap();
        fs::write(directory.join("notes.txt"), "no certificate").unwrap();
        let files = WatchedCertificates::new(std::slice::from_ref(&directory), false);
        assert_eq!(files.refresh(DAY_BEFORE), Changes::default());
        assert_eq!(subjects_of(&files), ["a", "b"]);

        let files = WatchedCertificates::new(std::slice::from_ref(&pem), false);
        files.refresh(DAY_BEFORE);
        let observations = files.observe();
        assert_eq!(observations[0].days_until_expiry, 1.0);
        let path = KeyValue::new("certificate.path", pem.display().to_string());
        assert!(observations[0].attributes.contains(&path));
        let role = KeyValue::new("certificate.role", "file");
        assert!(observations[0].attributes.contains(&role));
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_removed_one_is_dropped() {
        let directory = directory();
        let path = directory.join("server.crt");
        fs::write(&path, certificate("old").pem()).unwrap();
        let files = WatchedCertificates::new(std::slice::from_ref(&directory), false);
        files.refresh(DAY_BEFORE);
        fs::write(&path, certificate("a new one").pem()).unwrap();
        files.refresh(DAY_BEFORE);
        assert_eq!(subjects_of(&files), ["a new one"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(files.refresh(DAY_BEFORE), Changes::default());
        assert!(subjects_of(&files).is_empty());
    }

    #[test]
    fn an_unreadable_file_is_counted_and_reported_once_and_others_stay() {
        let directory = directory();
        let missing = directory.join("missing.pem");
        let broken = directory.join("broken.der");
        let good = directory.join("good.pem");
        fs::write(&broken, [0x30, 0x02]).unwrap();
        fs::write(&good, certificate("good").pem()).unwrap();
        let files = WatchedCertificates::new(&[missing.clone(), broken.clone(), good], false);
        let changes = files.refresh(DAY_BEFORE);
        assert_eq!(changes.unreadable, 2);
        let expected = [
            format!(
                "certificate `{}` is damaged, or holds something other than certificates",
                broken.display()
            ),
            format!(
                "certificate `{}` cannot be read: no such file or directory",
                missing.display()
            ),
        ];
        assert_eq!(changes.problems, expected);
        assert_eq!(subjects_of(&files), ["good"]);

        let changes = files.refresh(DAY_BEFORE);
        assert_eq!((changes.unreadable, changes.problems.len()), (2, 0));

        fs::write(&missing, certificate("late").pem()).unwrap();
        assert_eq!(files.refresh(DAY_BEFORE).unreadable, 1);
        assert_eq!(subjects_of(&files), ["good", "late"]);
    }

    #[test]
    fn a_private_key_next_to_a_certificate_is_ignored() {
        let directory = directory();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let both = key.clone() + &certificate("both").pem();
        fs::write(directory.join("both.pem"), both).unwrap();
        fs::write(directory.join("key.pem"), key).unwrap();
        let files = WatchedCertificates::new(&[directory], false);
        assert_eq!(files.refresh(DAY_BEFORE), Changes::default());
        assert_eq!(subjects_of(&files), ["both"]);
    }

    #[test]
    fn a_pattern_is_expanded_on_each_check() {
        let directory = directory();
        for site in ["a.example", "b.example"] {
            fs::create_dir_all(directory.join(site)).unwrap();
            let path = directory.join(site).join("fullchain.pem");
            fs::write(path, certificate(site).pem()).unwrap();
        }
        let files = WatchedCertificates::new(&[directory.join("*.example/full?hain.pem")], false);
        files.refresh(DAY_BEFORE);
        assert_eq!(subjects_of(&files), ["a.example", "b.example"]);
        fs::rename(directory.join("a.example"), directory.join("c")).unwrap();
        assert_eq!(files.refresh(DAY_BEFORE), Changes::default());
        assert_eq!(subjects_of(&files), ["b.example"]);
        fs::remove_dir_all(directory.join("b.example")).unwrap();
        let changes = files.refresh(DAY_BEFORE);
        assert_eq!(
            (changes.unreadable, changes.problems.len()),
            (1, 1),
            "{changes:?}"
        );
        assert!(subjects_of(&files).is_empty());
    }

    #[test]
    fn beyond_the_limit_the_files_named_by_a_flag_keep_their_metrics() {
        let directory = directory();
        let sooner = certificate("sooner").pem();
        for number in 0..10 {
            let bundle = sooner.repeat(MAX_CERTIFICATES / 10);
            fs::write(directory.join(format!("{number}.pem")), bundle).unwrap();
        }
        let named = directory.join("later");
        let mut params = rcgen::CertificateParams::new(vec!["later".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "later");
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let later = params
            .self_signed(&rcgen::KeyPair::generate().unwrap())
            .unwrap();
        fs::write(&named, later.pem()).unwrap();
        let files = WatchedCertificates::new(&[directory.clone(), named], false);
        let changes = files.refresh(DAY_BEFORE);
        assert_eq!(
            (changes.omitted, changes.problems.len()),
            (1, 1),
            "{changes:?}"
        );
        assert_eq!(files.observe().len(), MAX_CERTIFICATES);
        assert!(subjects_of(&files).contains(&"later".to_owned()));
        let changes = files.refresh(DAY_BEFORE);
        assert_eq!((changes.omitted, changes.problems.len()), (1, 0));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn paths_beyond_the_limit_are_dropped_but_not_those_named_by_a_flag() {
        let found =
            (0..3 * MAX_PATHS).map(|n| (PathBuf::from(format!("{n:05}")), n % MAX_PATHS == 7));
        let mut found: BTreeMap<_, _> = found.collect();
        drop_surplus(&mut found);
        assert_eq!(found.len(), MAX_PATHS);
        assert_eq!(found.values().filter(|named| **named).count(), 3);
    }

    #[test]
    fn directories_include_those_that_links_lead_to() {
        let directory = directory().canonicalize().unwrap();
        let (live, archive) = (directory.join("live"), directory.join("archive"));
        for path in [&live, &archive] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(archive.join("a1.pem"), certificate("a").pem()).unwrap();
        std::os::unix::fs::symlink("../archive/a1.pem", live.join("a.pem")).unwrap();
        let directories =
            |path: &str| WatchedCertificates::new(&[directory.join(path)], false).directories();
        assert_eq!(directories("live/a.pem"), [archive.clone(), live.clone()]);
        assert_eq!(directories("live/*.pem"), [archive.clone(), live.clone()]);
        assert_eq!(directories("live"), [archive, live.clone()]);
        assert_eq!(directories("live/missing.pem"), [live]);
        assert_eq!(
            WatchedCertificates::new(&["a.pem".into()], false).directories(),
            [Path::new(".")]
        );
    }
}
