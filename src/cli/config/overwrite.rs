//! Outputs that would replace what the run reads, or each other.
//!
//! A slip of the hand must cost neither the evidence nor the policy, so such a run does not begin.

use std::path::{Path, PathBuf};

use crate::cli::error::CliError;

/// The files of a run. What is not a regular file, as a pipe or a terminal, cannot be lost.
#[derive(Debug, Default)]
pub(crate) struct RunFiles {
    inputs: Vec<(&'static str, PathBuf)>,
    outputs: Vec<(&'static str, PathBuf)>,
}

impl RunFiles {
    /// Notes files that the run reads, and what they are, as in `the policy`.
    pub(crate) fn read<'p>(
        &mut self,
        what: &'static str,
        paths: impl IntoIterator<Item = &'p PathBuf>,
    ) {
        let paths = paths.into_iter().cloned();
        self.inputs.extend(paths.map(|path| (what, path)));
    }

    /// Notes the files with the roots that the run trusts.
    pub(crate) fn read_roots(&mut self, paths: &[PathBuf]) {
        self.read("a file of trusted roots", paths);
    }

    /// Notes files that the run writes, and the flag that names them.
    pub(crate) fn written<'p>(
        &mut self,
        flag: &'static str,
        paths: impl IntoIterator<Item = &'p PathBuf>,
    ) {
        let paths = paths.into_iter().cloned();
        self.outputs.extend(paths.map(|path| (flag, path)));
    }

    /// Checks that no output replaces another file of the run.
    ///
    /// # Errors
    ///
    /// Names the flag and the file that it would replace.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        for (index, (flag, path)) in self.outputs.iter().enumerate() {
            let Some(place) = place(path) else { continue };
            let is_same = |(_, other): &&(_, PathBuf)| self::place(other).as_ref() == Some(&place);
            let shown = path.display();
            if let Some((what, _)) = self.inputs.iter().find(is_same) {
                let message = format_args!("`{flag}` would replace `{shown}`, which is {what}");
                return Err(CliError::new(message));
            }
            if self.outputs.iter().take(index).any(|other| is_same(&other)) {
                let message = format_args!("two outputs would be written to `{shown}`");
                return Err(CliError::new(message).hint("give each a file of its own"));
            }
        }
        Ok(())
    }
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
