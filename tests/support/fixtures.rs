//! The captures under `fixtures/`.

use std::fs;
use std::path::Path;

/// One case: a folder of `fixtures/` that holds a capture.
pub(crate) struct Fixture {
    /// The folder's name, which says what the case shows.
    pub(crate) name: String,
    /// The capture, relative to the package.
    pub(crate) capture: String,
}

/// The package's folder: paths in baselines are relative to it.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All cases, by name.
pub(crate) fn all() -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = names(&package().join("fixtures"))
        .into_iter()
        .filter_map(fixture)
        .collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(fixtures.len() > 200, "the fixtures are there");
    fixtures
}

fn fixture(name: String) -> Option<Fixture> {
    let folder = format!("fixtures/{name}");
    let capture = names(&package().join(&folder))
        .into_iter()
        .find(|file| file.starts_with("capture."))?;
    Some(Fixture {
        name,
        capture: format!("{folder}/{capture}"),
    })
}

/// What lies in a folder; nothing if it is none.
fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
