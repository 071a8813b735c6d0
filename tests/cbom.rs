//! `tlscope read --format cbom`, as a command: valid, consistent, reproducible, and as docs/cbom.md says.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jsonschema::{Resource, Validator};
use serde_json::Value;

use crate::support::program::{output, printed};
use crate::support::{fixtures, needs, scratch};

const DOCS: &str = include_str!("../docs/cbom.md");

/// The document of one capture. Findings must not depend on the roots of the machine.
fn cbom(capture: &str) -> Value {
    let output = output(&["read", "--no-verify", "--format", "cbom", capture]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{capture}: {error}"))
}

/// The part of CycloneDX that tlscope writes.
fn emitted() -> Validator {
    let schema = include_str!("../src/sink/machine/cbom/emitted.schema.json");
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

/// The official schema of CycloneDX 1.7, out of the package `cyclonedx-python-lib` of PyPI; `None` if it is not installed.
///
/// `TLSCOPE_TEST_CYCLONEDX_SCHEMA` may name a folder that has it instead.
fn official() -> Option<Validator> {
    let folder = match env::var_os("TLSCOPE_TEST_CYCLONEDX_SCHEMA") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => installed_schemas(),
    };
    let Some(folder) = folder else {
        needs::skip("cyclonedx-python-lib");
        return None;
    };
    let mut options = jsonschema::options().should_validate_formats(true);
    let mut schema = None;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // `bom-1.7.SNAPSHOT.schema.json` in the package, `bom-1.7.schema.json` elsewhere
        let Some(name) = name.strip_suffix(".schema.json") else {
            continue;
        };
        let name = name.trim_end_matches(".SNAPSHOT");
        if !["bom-1.7", "cryptography-defs", "jsf-0.82", "spdx"].contains(&name) {
            continue;
        }
        let contents: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for ending in [".schema.json", ".SNAPSHOT.schema.json"] {
            let uri = format!("http://cyclonedx.org/schema/{name}{ending}");
            let resource = Resource::from_contents(contents.clone());
            options = options.with_resource(uri, resource);
        }
        if name == "bom-1.7" {
            schema = Some(contents);
        }
    }
    let schema = schema.unwrap_or_else(|| panic!("no CycloneDX 1.7 in {}", folder.display()));
    Some(options.build(&schema).unwrap())
}

/// Where Python has the package; it is not imported, so that its own dependencies need not be there.
fn installed_schemas() -> Option<PathBuf> {
    const FIND: &str =
        "import importlib.util as u; print(u.find_spec('cyclonedx').submodule_search_locations[0])";
    let output = Command::new("python3").args(["-c", FIND]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let folder = Path::new(path.trim()).join("schema/_res");
    (output.status.success() && folder.is_dir()).then_some(folder)
}

fn errors(validator: &Validator, document: &Value) -> Vec<String> {
    let errors = validator.iter_errors(document).take(3);
    errors
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect()
}

/// Every `bom-ref`, and every reference to one.
fn references(value: &Value, defined: &mut Vec<String>, used: &mut BTreeSet<String>) {
    const USES: [&str; 7] = [
        "ref",
        "dependsOn",
        "algorithms",
        "assemblies",
        "dependencies",
        "signatureAlgorithmRef",
        "subjectPublicKeyRef",
    ];
    match value {
        Value::Array(items) => {
            for item in items {
                references(item, defined, used);
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "bom-ref" => defined.push(text.clone()),
                    Value::String(text) if USES.contains(&key.as_str()) => {
                        used.insert(text.clone());
                    }
                    Value::Array(items) if USES.contains(&key.as_str()) => {
                        let texts = items.iter().filter_map(Value::as_str);
                        used.extend(texts.map(str::to_owned));
                        references(value, defined, used);
                    }
                    _ => references(value, defined, used),
                }
            }
        }
        _ => {}
    }
}

/// Documents of all fixtures, with their names.
fn documents() -> Vec<(String, Value)> {
    let fixtures = fixtures::all().into_iter();
    fixtures
        .map(|fixture| (fixture.name, cbom(&fixture.capture)))
        .collect()
}

#[test]
fn the_document_of_every_fixture_is_valid_and_consistent() {
    let (emitted, official) = (emitted(), official());
    for (name, document) in documents() {
        assert_eq!(errors(&emitted, &document), [""; 0], "{name}");
        if let Some(official) = &official {
            assert_eq!(
                errors(official, &document),
                [""; 0],
                "{name}, official schema"
            );
        }
        let (mut defined, mut used) = (Vec::new(), BTreeSet::new());
        references(&document, &mut defined, &mut used);
        let unique: BTreeSet<String> = defined.iter().cloned().collect();
        assert_eq!(
            unique.len(),
            defined.len(),
            "{name}: a bom-ref is used twice"
        );
        let dangling: Vec<_> = used.difference(&unique).collect();
        assert!(dangling.is_empty(), "{name}: {dangling:?}");
    }
}

#[test]
fn both_schemas_refuse_what_cyclonedx_does_not_have() {
    let capture = fixtures::named("mtls-day").capture;
    let right = cbom(&capture);
    let validators = std::iter::once(emitted()).chain(official());
    for validator in validators {
        assert!(validator.is_valid(&right));
        for (pointer, wrong) in [
            ("/specVersion", Value::from(1.7)),
            ("/serialNumber", "urn:uuid:1".into()),
            ("/components/0/cryptoProperties/assetType", "mystery".into()),
            (
                "/components/0/cryptoProperties/protocolProperties/type",
                "ssl".into(),
            ),
            ("/compositions/0/aggregate", "partial".into()),
            ("/services/0/surplus", true.into()),
        ] {
            let mut document = right.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let parent = document.pointer_mut(parent).unwrap();
            parent
                .as_object_mut()
                .unwrap()
                .insert(key.to_owned(), wrong);
            assert!(!validator.is_valid(&document), "{pointer}");
        }
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let captures: Vec<String> = fixtures::all()
        .into_iter()
        .map(|fixture| fixture.capture)
        .collect();
    let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
    let run = |threads: &str| {
        let flags = [
            "read",
            "--no-verify",
            "--format",
            "cbom",
            "--threads",
            threads,
        ];
        output(&[&flags[..], &captures].concat()).stdout
    };
    let one = run("1");
    assert!(one.len() > 100_000);
    assert!(one == run("4"));
}

#[test]
fn the_documentation_shows_what_is_printed() {
    let document = cbom(&fixtures::named("tls13-mlkem768").capture);
    let examples: Vec<&str> = blocks("json");
    assert_eq!(examples.len(), 2);
    for (example, list) in examples.into_iter().zip(["services", "components"]) {
        let example: Value = serde_json::from_str(example).unwrap();
        let list = document[list].as_array().unwrap();
        assert!(list.contains(&example), "{example:#} is not in {list:#?}");
    }
}

#[test]
fn the_documentation_lists_every_property() {
    let mut names = BTreeSet::new();
    for (_, document) in documents() {
        collect_properties(&document, &mut names);
    }
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(
            is_documented(&name),
            "{name} is not among the properties in docs/cbom.md"
        );
    }
}

/// The documentation writes a name in full, or with an ellipsis for its beginning, and upper case for what varies.
fn is_documented(name: &str) -> bool {
    if DOCS.contains(&format!("`{name}`")) {
        return true;
    }
    let parts: Vec<&str> = name.split(':').collect();
    let fixed = match parts.as_slice() {
        ["tlscope", by @ ("offered" | "negotiated"), kind, _]
        | [
            "tlscope",
            by @ ("offered" | "negotiated"),
            kind,
            _,
            "first_seen" | "last_seen",
        ] => {
            format!("tlscope:{by}:{kind}:NAME")
        }
        ["tlscope", "client_certificate", _] => "tlscope:client_certificate:STATE".to_owned(),
        ["tlscope", "key_exchange", _] => "tlscope:key_exchange:CLASS".to_owned(),
        ["tlscope", "finding", _] => "tlscope:finding:TYPE".to_owned(),
        ["tlscope", "omitted" | "limit", ..] => return true,
        _ => name.to_owned(),
    };
    let last: String = match fixed.strip_suffix(":NAME") {
        Some(front) => format!("…:{}:NAME", front.rsplit(':').next().unwrap()),
        None => format!("…:{}", fixed.rsplit(':').next().unwrap()),
    };
    DOCS.contains(&format!("`{fixed}`")) || DOCS.contains(&format!("`{last}`"))
}

fn collect_properties(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_properties(item, names)),
        Value::Object(object) => {
            let name = object.get("name").and_then(Value::as_str);
            names.extend(
                name.filter(|name| name.starts_with("tlscope:"))
                    .map(str::to_owned),
            );
            object
                .values()
                .for_each(|value| collect_properties(value, names));
        }
        _ => {}
    }
}

/// The contents of the code blocks in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    let blocks = DOCS.split(fence.as_str()).skip(1);
    blocks
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

#[test]
fn the_documented_queries_have_answers() {
    let Some(jq) = needs::program("jq") else {
        return;
    };
    let document = |name: &str, fixtures: &[&str]| {
        let captures: Vec<_> = fixtures
            .iter()
            .map(|name| fixtures::named(name).capture)
            .collect();
        let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
        let flags = ["read", "--no-verify", "--format", "cbom"];
        scratch::file(name, printed(&[&flags[..], &captures].concat()))
    };
    let recent = document("cbom-recent.json", &["mtls-day", "tls13-mlkem768"]);
    let old = document("cbom-old.json", &["tls10-rsa"]);
    let answers: Vec<String> = blocks("jq")
        .into_iter()
        .map(|query| {
            let mut command = Command::new(&jq);
            command
                .args(["-r", query, &recent, &old])
                .stdin(Stdio::null());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{query}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let begin = |answer: &str| answer.lines().next().unwrap_or_default().to_owned();
    let begins: Vec<String> = answers.iter().map(|answer| begin(answer)).collect();
    let expected = [
        "www.example.org:443",
        "api.example.org:443 4",
        "ECDHE 9",
        "3DES-EDE-CBC",
        "2026-11-22T21:02:53.105741000Z TLS 1.0 as www.example.org:443 negotiated it TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "2026-11-19T21:10:58Z CN=pay.example.org,O=Example Services",
        "service:api.example.org:443/tcp",
    ];
    assert_eq!(begins, expected, "{answers:#?}");
}
