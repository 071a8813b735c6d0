//! Runs `tlscope run` around commands, with real handshakes on the loopback interface.
//!
//! Needs the capability CAP_NET_RAW, and `openssl` for handshakes. Tests are skipped where one is missing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::check::{HELD, VIOLATED};
use crate::support::fixtures::package;
use crate::support::needs;
use crate::support::process::{Process, free_port, wait_for, writer_of_pipe};
use crate::support::program::{output, printed, stderr, stdout, tlscope};
use crate::support::scratch;

fn scratch(name: &str) -> String {
    scratch::path(&format!("run-{name}"))
}

fn file(name: &str, text: &str) -> String {
    scratch::file(&format!("run-{name}"), text)
}

/// `tlscope run` with the `PATH` of the person who runs the tests. `None` if it may not capture.
fn run(arguments: &[&str]) -> Option<Command> {
    if stderr(&output(&["run", "--no-verify", "--", "true"])).contains("CAP_NET_RAW") {
        needs::skip("CAP_NET_RAW");
        return None;
    }
    let mut command = tlscope(&["run", "--no-verify"]);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.args(arguments);
    Some(command)
}

/// A script that starts a server on `port`, connects to it and exits at once, with `last` as its last words.
fn script(name: &str, port: u16, last: &str) -> String {
    let (key, certificate) = (scratch("key.pem"), scratch("certificate.pem"));
    let text = format!(
        "set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=api.example.org \
  -addext subjectAltName=DNS:api.example.org -keyout {key}.{name} -out {certificate}.{name} 2> /dev/null
openssl s_server -quiet -accept 127.0.0.1:{port} -key {key}.{name} -cert {certificate}.{name} > /dev/null 2>&1 &
trap \"kill $!\" EXIT
connect() {{
  echo Q | openssl s_client -connect 127.0.0.1:{port} -servername api.example.org \
    -keylogfile \"$SSLKEYLOGFILE\" \"$@\" > /dev/null 2>&1
}}
n=0
until connect -tls1_2 -CAfile {certificate}.{name}; do n=$((n+1)); [ $n -lt 200 ]; sleep 0.05; done
connect -tls1_3 -CAfile {certificate}.{name}
# The last packets of the run are the refusal.
connect -tls1_3 -verify_return_error || true
{last}
"
    );
    file(&format!("{name}.sh"), &text)
}

/// Three handshakes, which the server's own certificate is visible in; the last one fails.
const POLICY: &str = "unknown = 'fail'
[[rule]]
name = 'all of the run'
where = { server-name = 'api.example.org' }
min-handshakes = 3
max-handshakes = 3
min-days-valid = 14
no-gaps = true
max-failures-of = { unknown_ca = 1 }
[[rule]]
max-failures = 1
max-unknown = 0
complete-input = true
";

#[test]
fn the_handshakes_of_a_command_are_decrypted_and_evaluated_to_the_last_one() {
    if needs::program("openssl").is_none() {
        return;
    }
    for interface in ["lo", "any", "lo,any"] {
        let port = free_port();
        let script = script(&interface.replace(',', "-"), port, "echo passed through");
        let policy = file("policy.toml", POLICY);
        let port = port.to_string();
        let arguments = [
            "-i", interface, "--port", &port, "--policy", &policy, "--", "sh", &script,
        ];
        let Some(mut command) = run(&arguments) else {
            return;
        };
        let output = command.output().unwrap();
        assert_eq!(stdout(&output), "passed through\n", "{output:?}");
        let report = stderr(&output);
        let said = "(min-days-valid): 0 of 3 handshakes violated it\n";
        assert!(report.contains(said), "{report}");
        assert!(
            report.contains("\ncheck passed: 0 errors, 0 warnings; "),
            "{report}"
        );
        assert_eq!(output.status.code(), Some(HELD), "{report}");
    }
}

#[test]
fn an_option_behind_the_command_is_warned_of() {
    let said = output(&["run", "--no-verify", "true", "--policy", "nowhere.toml"]);
    let warning =
        "warning: `--policy` goes to the command: if you mean tlscope, write it before `-- true`\n";
    assert!(stderr(&said).starts_with(warning), "{said:?}");
    let said = output(&[
        "run",
        "--no-verify",
        "--",
        "true",
        "--policy",
        "nowhere.toml",
    ]);
    assert!(!stderr(&said).contains("goes to the command"), "{said:?}");
}

#[test]
fn a_saved_capture_has_its_secrets_and_only_its_owner_can_read_it() {
    if needs::program("openssl").is_none() {
        return;
    }
    let port = free_port();
    let (script, saved) = (script("saved", port, ""), scratch("saved.pcapng"));
    let keys = file("others.keys", "CLIENT_RANDOM of another program\n");
    let port = port.to_string();
    let arguments = ["--port", &port, "--save", &saved, "--", "sh", &script];
    let Some(mut command) = run(&arguments) else {
        return;
    };
    let output = command.env("SSLKEYLOGFILE", &keys).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(VIOLATED),
        "the default policy: {output:?}"
    );
    let offender = format!("- {saved}, packets ");
    assert!(stderr(&output).contains(&offender), "{output:?}");
    let mode = fs::metadata(&saved).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let lines = printed(&["read", "--no-verify", "--format", "json", &saved]);
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [_, completed, refused, _] = &events[..] else {
        panic!("{lines}")
    };
    assert_eq!(completed["evidence"], "decrypted");
    assert_eq!(refused["error"]["type"], "unknown_ca");
    assert_eq!(
        refused["server_certificates"][0]["common_name"],
        "api.example.org"
    );
    assert!(
        fs::read_to_string(&keys).unwrap().lines().count() > 5,
        "the user's own key log"
    );
    let saved = fs::read(&saved).unwrap();
    let others = b"of another program";
    assert!(!saved.windows(others.len()).any(|bytes| bytes == others));
}

#[test]
fn the_exit_status_is_that_of_the_command_if_it_fails_and_of_the_check_otherwise() {
    let allowed = file(
        "allowed.toml",
        "allow-empty = true\n[[rule]]\nmax-failures = 0\n",
    );
    let strict = file("strict.toml", "[[rule]]\nmax-failures = 0\n");
    let cases: [(&str, &[&str], i32); 8] = [
        (&allowed, &["true"], HELD),
        (&strict, &["true"], VIOLATED),
        (&allowed, &["sh", "-c", "exit 7"], 7),
        (&strict, &["sh", "-c", "exit 7"], 7),
        (&strict, &["sh", "-c", "kill -KILL $$"], 137),
        (&strict, &["/no/such/program"], 127),
        (&strict, &["/etc/passwd"], 126),
        ("nowhere.toml", &["true"], 2),
    ];
    for (policy, arguments, expected) in cases {
        let all = [&["--port", "9", "--policy", policy, "--"], arguments].concat();
        let Some(mut command) = run(&all) else {
            return;
        };
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{arguments:?}: {output:?}"
        );
        // The report alone would not tell a failed command from a failed check.
        let notice = match expected {
            128.. => format!("the command was ended by SIGKILL: exit status {expected}"),
            _ => format!("the command failed: exit status {expected}"),
        };
        let is_from_command = expected > 2 && !(126..128).contains(&expected);
        if is_from_command {
            assert!(stderr(&output).contains(&notice), "{output:?}");
        }
    }
}

#[test]
fn a_mistake_in_the_arguments_is_found_before_the_command_runs() {
    let empty = file("empty.toml", "");
    let trace = scratch("trace");
    let cases: [&[&str]; 4] = [
        &["--policy", &empty],
        &["-i", "no-such-interface"],
        &["--filter", "no such filter"],
        &["--save", "/no/such/folder/x.pcapng"],
    ];
    for arguments in cases {
        let all = [arguments, &["--", "touch", &trace]].concat();
        let Some(mut command) = run(&all) else {
            return;
        };
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).starts_with("error: "), "{output:?}");
        assert!(!fs::exists(&trace).unwrap());
    }
}

/// What another process may do, as a mask; `None` once it has ended.
fn capabilities(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("CapPrm:"))?;
    u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()
}

#[test]
fn roots_are_read_without_the_capabilities_of_the_program() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        needs::skip("root, who may give a program capabilities");
        return;
    }
    let Some(setcap) = needs::program("setcap") else {
        return;
    };
    let directory = std::env::temp_dir().join(format!("tlscope-run-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let [program, roots] = ["tlscope", "roots.pem"].map(|name| directory.join(name));
    fs::copy(env!("CARGO_BIN_EXE_tlscope"), &program).unwrap();
    let has = |command: &mut Command| command.status().unwrap().success();
    let has_capability = has(Command::new(setcap).arg("cap_net_raw+ep").arg(&program));
    assert!(has(Command::new("mkfifo")
        .args(["--mode", "644"])
        .arg(&roots)));
    let mut command = Command::new(&program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.args(["run", "-i", "lo", "--ca-file"]).arg(&roots);
    let mut process = Process::start(command.args(["--", "true"]));
    // It opens the roots where it reads them, and waits there for somebody who writes.
    let writer = wait_for("reader", || match writer_of_pipe(&roots) {
        Err(_) if process.try_wait().is_some() => Some(None),
        writer => writer.ok().map(Some),
    });
    match (has_capability, writer) {
        (true, Some(_)) => assert_eq!(capabilities(process.id()), Some(0)),
        _ => needs::skip("CAP_NET_RAW"),
    }
    drop(process);
    fs::remove_dir_all(directory).unwrap();
}

fn said(output: &Output) -> (&str, Option<i32>) {
    (stdout(output), output.status.code())
}

#[test]
fn the_command_has_the_streams_the_environment_and_a_private_key_log() {
    let policy = file(
        "streams.toml",
        "allow-empty = true\n[[rule]]\nmax-failures = 0\n",
    );
    let shell = "read line; echo \"$line $MINE\"; stat -c %a \"$SSLKEYLOGFILE\" \"${SSLKEYLOGFILE%/*}\"; \
                 echo \"$SSLKEYLOGFILE\" >&2";
    let arguments = ["--port", "9", "--policy", &policy, "--", "sh", "-c", shell];
    let Some(mut command) = run(&arguments) else {
        return;
    };
    let input = file("input", "in\n");
    command.stdin(fs::File::open(input).unwrap());
    let output = command.env("MINE", "mine").output().unwrap();
    assert_eq!(
        said(&output),
        ("in mine\n600\n700\n", Some(HELD)),
        "{output:?}"
    );
    let key_log = stderr(&output).lines().next().unwrap();
    assert!(!fs::exists(key_log).unwrap(), "it is removed");
}

#[test]
fn the_command_gets_no_socket_of_the_capture() {
    let policy = file(
        "sockets.toml",
        "allow-empty = true\n[[rule]]\nmax-failures = 0\n",
    );
    let shell = "for fd in /proc/self/fd/*; do readlink \"$fd\"; done | grep -c socket";
    let arguments = ["--policy", &policy, "-i", "lo", "--", "sh", "-c", shell];
    let Some(mut command) = run(&arguments) else {
        return;
    };
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(stdout(&output), "0\n", "{output:?}");
}

#[test]
fn signals_go_to_the_command_and_the_run_is_still_evaluated() {
    for (name, number) in [("-TERM", 15), ("-INT", 2), ("-HUP", 1), ("-USR1", 10)] {
        let policy = file("signal.toml", "[[rule]]\nmax-failures = 0\n");
        let shell = format!(
            "trap 'echo got {number}; exit 3' {number}; echo ready; while :; do sleep 0.1; done"
        );
        let arguments = ["--port", "9", "--policy", &policy, "--", "sh", "-c", &shell];
        let Some(mut command) = run(&arguments) else {
            return;
        };
        let mut process = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let (stdout, stderr) = (process.stdout(), process.stderr());
        assert_eq!(stdout.recv().unwrap(), "ready");
        process.signal(name);
        assert_eq!(stdout.recv().unwrap(), format!("got {number}"));
        assert_eq!(process.wait().code(), Some(3));
        let report: Vec<_> = stderr.iter().collect();
        assert!(
            report.iter().any(|line| line.starts_with("check failed: ")),
            "{report:?}"
        );
    }
}

/// The commands of `docs/ci.md` that run tests, as a shell gets them.
fn recipes() -> Vec<String> {
    let text = fs::read_to_string(package().join("docs/ci.md")).unwrap();
    let joined = text.replace("\\\n", " ");
    let lines = joined
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("--format"));
    let recipes = lines.filter_map(|line| line.split_once("tlscope run "));
    recipes
        .map(|(_, rest)| format!("tlscope run --no-verify {}", rest.trim_end_matches('\'')))
        .collect()
}

#[test]
fn the_recipes_in_the_documentation_work_as_they_stand() {
    if needs::program("openssl").is_none() || run(&["--", "true"]).is_none() {
        return;
    }
    let recipes = recipes();
    assert_eq!(recipes.len(), 3, "GitHub, GitLab, Jenkins: {recipes:?}");
    for (index, recipe) in recipes.into_iter().enumerate() {
        let folder = PathBuf::from(scratch(&format!("recipe-{index}")));
        let _ = fs::remove_dir_all(&folder); // of an earlier run
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("tlscope.toml"), POLICY).unwrap();
        let port = free_port();
        let tests = script(&format!("recipe-{index}"), port, "exit $STATUS");
        let recipe = recipe
            .replace("./integration-tests.sh", &format!("sh {tests}"))
            .replace("8443", &port.to_string());
        let summary = folder.join("summary.md");
        for (status, expected) in [("0", HELD), ("5", 5)] {
            let program = assert_cmd::cargo::cargo_bin!("tlscope");
            let path = std::env::var("PATH").unwrap_or_default();
            let path = format!("{}:{path}", program.parent().unwrap().display());
            let output = Command::new("sh")
                .args(["-e", "-c", &recipe])
                .current_dir(&folder)
                .env_clear()
                .envs([("PATH", &*path), ("STATUS", status)])
                .env("GITHUB_STEP_SUMMARY", &summary)
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(expected), "{recipe}: {output:?}");
            assert!(stderr(&output).contains("check passed: "), "{output:?}");
            // Reports are written whether or not the tests fail.
            for report in [
                "tls.xml",
                "tls.sarif",
                "gl-code-quality-report.json",
                "handshakes.pcapng",
            ] {
                if recipe.contains(report) {
                    fs::remove_file(folder.join(report)).unwrap();
                }
            }
        }
        if recipe.contains("markdown=") {
            let summary = fs::read_to_string(summary).unwrap();
            assert_eq!(
                summary.matches("tlscope check passed").count(),
                2,
                "it is appended to"
            );
        }
    }
}
