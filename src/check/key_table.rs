//! The table in docs/policy.md of the keys that a rule can have.

use super::assertion;
use super::parse::SETTING_KEYS;

/// The keys of a rule with an example and an explanation each, as a table in Markdown.
///
/// # Example
///
/// ```
/// let table = tlscope::check::key_table();
/// assert!(table.contains("| `min-version` | `\"TLS 1.2\"` | "));
/// ```
#[must_use]
pub fn key_table() -> String {
    let settings = SETTING_KEYS
        .iter()
        .map(|key| (key.name, key.example, key.doc));
    let assertions = assertion::keys().map(|key| (key.name, key.example, key.doc));
    let rows = settings
        .chain(assertions)
        .map(|(name, example, doc)| format!("| `{name}` | `{example}` | {doc} |\n"));
    HEADER.to_owned() + &rows.collect::<String>()
}

const HEADER: &str = "\
| key of a rule | for example | what must hold for every handshake in scope, unless stated otherwise |
| --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const REWRITE: &str = "TLSCOPE_REWRITE_POLICY";
    const BEGIN: &str = "<!-- Generated from src/check: run `TLSCOPE_REWRITE_POLICY=1 cargo test --lib key_table`. -->\n";
    const END: &str = "<!-- End of the generated table. -->\n";

    #[test]
    fn the_table_in_the_documentation_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy.md");
        let page = fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (table, after) = rest.split_once(END).unwrap();
        let expected = format!("\n{}\n", key_table());
        if std::env::var_os(REWRITE).is_some() {
            fs::write(path, [before, BEGIN, &expected, END, after].concat()).unwrap();
            return;
        }
        assert!(
            table == expected,
            "the table of policy keys in docs/policy.md is stale: run this test with {REWRITE}=1"
        );
    }

    #[test]
    fn every_row_has_three_cells() {
        for row in key_table().lines() {
            assert_eq!(row.matches('|').count(), 4, "{row}");
        }
    }
}
