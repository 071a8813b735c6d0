//! `tlscope live` on the loopback interface.

use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::Value;

use super::needs;
use super::process::{PATIENCE, Process};
use super::program::tlscope;

/// A running `tlscope live`, and what it prints.
pub(crate) struct Live {
    pub(crate) process: Process,
    pub(crate) stdout: Receiver<String>,
    pub(crate) stderr: Receiver<String>,
}

impl Live {
    /// Starts it, and waits until it captures. `None` if the test is to be skipped, since it may not capture.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        Self::start_in(&[], arguments)
    }

    /// The same, with environment variables.
    pub(crate) fn start_in(environment: &[(&str, String)], arguments: &[&str]) -> Option<Self> {
        let mut command = tlscope(&["live", "-i", "lo"]);
        command
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::start(&mut command);
        let live = Self {
            stdout: process.stdout(),
            stderr: process.stderr(),
            process,
        };
        loop {
            let line = live.stderr.recv_timeout(PATIENCE).unwrap();
            if line.contains("CAP_NET_RAW") {
                needs::skip("CAP_NET_RAW");
                return None;
            }
            if line.starts_with("listening on lo") {
                return Some(live);
            }
        }
    }

    /// The next event.
    pub(crate) fn event(&self) -> Value {
        let line = self.stdout.recv_timeout(PATIENCE).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until it exits: how, and the rest of standard output and of standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let stdout = self.stdout.iter().collect();
        let stderr = self.stderr.iter().collect();
        (self.process.wait(), stdout, stderr)
    }
}
