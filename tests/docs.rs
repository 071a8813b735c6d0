//! Runs the commands in README.md and docs/, and compares what they print with what the pages show.
//!
//! A block that begins with ```` ```console ```` is run: each line `$ COMMAND` in a shell, in a folder with the files of the
//! fixture `mtls-day`, standard output and standard error together. The commands of one page share the folder. A
//! ```` ```toml ```` block whose first line is `# tlscope.toml` becomes that file.
//!
//! - A line `…` stands for any number of lines.
//! - A block after the line `<!-- not run: REASON -->` is not run. Other blocks (`sh`, `text`) are not run either.
//! - A command that exits with something else than 0 is followed by `[exit status N]`.
//!
//! `TLSCOPE_REWRITE_DOCS=1` writes what the program prints now, except where a line `…` leaves something out.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::fixtures::{self, package};
use crate::support::{needs, scratch};

const REWRITE: &str = "TLSCOPE_REWRITE_DOCS";
const NOT_RUN: &str = "<!-- not run: ";

#[test]
fn every_command_on_the_pages_prints_what_they_show() {
    if needs::program("jq").is_none() {
        return;
    }
    let mut differences = String::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let folder = folder_for(&page);
        let is_rewritten = std::env::var_os(REWRITE).is_some();
        let printed = with_output(
            &text,
            &folder,
            is_rewritten,
            &mut |command, expected, found| {
                let page = page.strip_prefix(package()).unwrap().display();
                writeln!(
                    differences,
                    "{page}: $ {command}\n--- shown\n{expected}--- printed\n{found}"
                )
                .unwrap();
            },
        );
        if is_rewritten && printed != text {
            fs::write(&page, printed).unwrap();
        }
    }
    assert!(
        differences.is_empty(),
        "run this test with {REWRITE}=1, or correct the text:\n{differences}"
    );
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{}: no {target}", page.display());
        }
    }
}

#[test]
fn every_error_type_is_explained() {
    let page = fs::read_to_string("docs/errors.md").unwrap();
    for error_type in tlscope::event::ErrorType::ALL {
        let row = format!("| `{error_type}` | ");
        let meaning = page.lines().find_map(|line| line.strip_prefix(&row));
        assert!(
            meaning.is_some_and(|meaning| meaning.ends_with(". |")),
            "docs/errors.md does not explain {error_type}"
        );
    }
}

#[test]
fn the_readme_is_short() {
    let length = fs::metadata(package().join("README.md")).unwrap().len();
    assert!(length < 12_000, "{length} bytes");
}

#[test]
fn what_an_ellipsis_leaves_out_may_be_anything() {
    assert!(matches("a\n…\nd\n", "a\nb\nc\nd\n"));
    assert!(matches("…\nd\n", "d\n"));
    assert!(matches("a\n…\n", "a\nb\n"));
    assert!(matches("…\nb\n…\n", "a\nb\nc\n"));
    assert!(!matches("a\n…\nd\n", "a\nb\nc\n"));
    assert!(!matches("a\n", "a\nb\n"));
    assert!(!matches("…\nb\n", "b\nc\n"));
}

/// README.md and the pages in docs/, sorted.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(package().join("docs")).unwrap();
    let mut pages: Vec<PathBuf> = docs
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain([package().join("README.md")])
        .collect();
    pages.sort();
    pages
}

/// A folder with the files of the fixture that the pages use.
fn folder_for(page: &Path) -> PathBuf {
    let name = page.file_stem().unwrap().to_str().unwrap();
    let folder = scratch::folder(&format!("docs-{name}"));
    let fixture = fixtures::named("mtls-day");
    for name in ["capture.pcapng", "ca.pem", "keys.log", "expected.jsonl"] {
        fs::copy(fixture.file(name), folder.join(name)).unwrap();
    }
    folder
}

/// The page with what its commands print. Calls `differs` for each command whose output is not as shown.
fn with_output(
    page: &str,
    folder: &Path,
    is_rewritten: bool,
    differs: &mut dyn FnMut(&str, &str, &str),
) -> String {
    let mut written = String::new();
    let mut lines = page.lines().peekable();
    let mut previous = "";
    while let Some(line) = lines.next() {
        writeln!(written, "{line}").unwrap();
        let is_run = line == "```console" && !previous.starts_with(NOT_RUN);
        let is_policy = line == "```toml" && lines.peek() == Some(&"# tlscope.toml");
        previous = line;
        if is_policy {
            let mut policy = String::new();
            while let Some(line) = lines.next_if(|line| *line != "```") {
                writeln!(policy, "{line}").unwrap();
            }
            fs::write(folder.join("tlscope.toml"), &policy).unwrap();
            written += &policy;
        } else if is_run {
            while let Some(command) = lines.next_if(|line| *line != "```") {
                writeln!(written, "{command}").unwrap();
                let command = command.strip_prefix("$ ").unwrap_or_else(|| {
                    panic!("a block begins with `{command}`, not with a command")
                });
                let mut expected = String::new();
                while let Some(line) =
                    lines.next_if(|line| *line != "```" && !line.starts_with("$ "))
                {
                    writeln!(expected, "{line}").unwrap();
                }
                let found = run(command, folder);
                let has_ellipsis = expected.lines().any(|line| line == "…");
                if is_rewritten && !has_ellipsis {
                    written += &found;
                    continue;
                }
                if !matches(&expected, &found) {
                    differs(command, &expected, &found);
                }
                written += &expected;
            }
        }
    }
    written
}

/// What the command prints in the folder, and how it exits unless that is 0.
fn run(command: &str, folder: &Path) -> String {
    let program = assert_cmd::cargo::cargo_bin!("tlscope");
    let mut path = OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut printed = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => {}
        Some(code) => writeln!(printed, "[exit status {code}]").unwrap(),
        None => panic!("`{command}` was killed"),
    }
    printed
}

/// Whether the lines are those shown, where `…` stands for any number of lines. Spaces at the end of a line do not count.
fn matches(shown: &str, printed: &str) -> bool {
    fn fits(shown: &[&str], printed: &[&str]) -> bool {
        match shown.split_first() {
            None => printed.is_empty(),
            Some((&"…", rest)) => (0..=printed.len()).any(|skip| fits(rest, &printed[skip..])),
            Some((line, rest)) => match printed.split_first() {
                Some((found, others)) => line.trim_end() == found.trim_end() && fits(rest, others),
                None => false,
            },
        }
    }
    let shown: Vec<&str> = shown.lines().collect();
    let printed: Vec<&str> = printed.lines().collect();
    fits(&shown, &printed)
}
