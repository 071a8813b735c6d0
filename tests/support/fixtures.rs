//! The captures under `fixtures/captures/`, grouped by theme.

use std::fs;
use std::path::{Path, PathBuf};

/// One case: a folder `fixtures/captures/<theme>/<name>` with a capture.
pub(crate) struct Fixture {
    /// The name of the case, which says what it shows. Unique among all themes.
    pub(crate) name: String,
    /// The folder, relative to the package.
    folder: String,
    /// The capture, relative to the package.
    pub(crate) capture: String,
}

impl Fixture {
    /// The absolute path of a file in this fixture's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        package().join(&self.folder).join(name)
    }
}

/// The package's folder: paths in baselines are relative to it.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All fixtures, sorted by name.
pub(crate) fn all() -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = names("fixtures/captures")
        .into_iter()
        .map(|theme| format!("fixtures/captures/{theme}"))
        .flat_map(|theme| {
            let names = names(&theme).into_iter();
            names.filter_map(move |name| fixture(&theme, name))
        })
        .collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(fixtures.len() > 200, "the fixtures are missing");
    for pair in fixtures.windows(2) {
        assert_ne!(pair[0].name, pair[1].name, "two fixtures share a name");
    }
    fixtures
}

/// The fixture with this name.
pub(crate) fn named(name: &str) -> Fixture {
    all()
        .into_iter()
        .find(|fixture| fixture.name == name)
        .unwrap_or_else(|| panic!("no fixture is named `{name}`"))
}

fn fixture(theme: &str, name: String) -> Option<Fixture> {
    let folder = format!("{theme}/{name}");
    let capture = names(&folder)
        .into_iter()
        .find(|file| file.starts_with("capture."))?;
    Some(Fixture {
        name,
        capture: format!("{folder}/{capture}"),
        folder,
    })
}

/// The names of the files and folders in a folder of the package; empty if it is not a folder.
fn names(folder: &str) -> Vec<String> {
    fs::read_dir(package().join(folder))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
