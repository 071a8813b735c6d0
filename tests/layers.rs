//! Data flows one way: a layer imports only the layers before it.
//!
//! Reads the `crate::` paths of every file below `src/` and compares them with the order of [`LAYERS`].

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, in the order in which packets become events and events become output. Modules in one row may import one another.
const LAYERS: &[&[&str]] = &[
    // Common ground: plain types without a layer of their own.
    &[
        "digits",
        "error_type",
        "escape",
        "flow",
        "hex",
        "memory",
        "pattern",
        "stats",
        "text_enum",
        "time",
    ],
    &["capture"],
    &["decode"],
    &["transport"],
    &["tls"],
    &["dialogue"],
    &["decrypt"],
    &["framing"],
    &["certificate"],
    &["event"],
    &["handshake"],
    &["observer"],
    &["attribution"],
    &["sink"],
    &["telemetry"],
    &["check"],
    &["pipeline", "read"],
    &["cli"],
];

#[test]
fn a_layer_imports_only_the_layers_before_it() {
    let mut broken = Vec::new();
    let mut imports = 0;
    for file in rust_files(&source_folder()) {
        let layer = layer_of(&file);
        let text = without_tests(&fs::read_to_string(&file).unwrap());
        for (number, imported) in crate_paths(&text) {
            imports += 1;
            match (layer, rank(&imported)) {
                (_, None) => broken.push(format!(
                    "{}:{number}: `{imported}` is in no layer: add it to LAYERS",
                    file.display()
                )),
                (Some(layer), Some(used)) if used > layer => broken.push(format!(
                    "{}:{number}: imports `{imported}`, which is a later layer",
                    file.display()
                )),
                _ => {}
            }
        }
    }
    assert!(imports > 300, "only {imports} imports were found");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_module_is_in_a_layer() {
    for entry in fs::read_dir(source_folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_module = !matches!(name, "assets" | "lib" | "main"); // assets has no code
        if is_module {
            assert!(rank(name).is_some(), "add `{name}` to LAYERS");
        }
    }
}

#[test]
fn finds_the_paths_of_nested_and_multi_line_imports() {
    let text = "use crate::flow::{Side, PerSide};\nuse crate::{\n    time::Timestamp,\n    tls::{Alert, Record},\n};\n\
                fn f() -> crate::event::Outcome {}\n/// [`crate::sink`] is only text.\n";
    let found: Vec<String> = crate_paths(text)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(found, ["flow", "time", "tls", "event"]);
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The layer of a file; `None` for the roots of the crates, which name every module.
fn layer_of(file: &Path) -> Option<usize> {
    let inside = file.strip_prefix(source_folder()).unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    rank(Path::new(first).file_stem().unwrap().to_str().unwrap())
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The text without its unit tests, which may build their input with any layer. They come last in a file.
fn without_tests(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].to_owned()
}

/// The first component of each `crate::` path, with its line; comments are skipped.
fn crate_paths(text: &str) -> Vec<(usize, String)> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || "_$".contains(before)) {
            continue; // `pub(crate)` has no colons; `$crate::` stands in macros
        }
        let line = code[..at].lines().count().max(1);
        let path = &code[at + "crate::".len()..];
        match path.strip_prefix('{') {
            Some(list) => found.extend(first_components(list).into_iter().map(|name| (line, name))),
            None => found.push((line, identifier(path))),
        }
    }
    found
}

/// The first component of each path in a braced list that has just been opened.
fn first_components(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut is_start) = (1, Vec::new(), true);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_start = true,
            character if is_start && character.is_alphabetic() => {
                names.push(identifier(&list[at..]));
                is_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}
