//! Values of `error.type` in policies.

use crate::check::policy_entry::{PolicyEntry, Result};
use crate::event::ErrorType;

/// Each error type with its name.
pub(super) fn words() -> Vec<(&'static str, ErrorType)> {
    let word = |error_type: &ErrorType| (error_type.as_str(), *error_type);
    ErrorType::ALL.iter().map(word).collect()
}

/// Reads one name or a list of them.
pub(super) fn read(entry: &PolicyEntry<'_>) -> Result<Vec<ErrorType>> {
    let names = entry.strings(WHAT)?.into_iter();
    names
        .map(|(name, at)| entry.word_of(&name, at, &words()))
        .collect()
}

/// Reads one name or a list of them; `*` stands for all.
pub(super) fn read_or_all(entry: &PolicyEntry<'_>) -> Result<Vec<ErrorType>> {
    let mut types = Vec::new();
    for (name, at) in entry.strings(WHAT)? {
        if name == "*" {
            return Ok(ErrorType::ALL.to_vec());
        }
        types.push(entry.word_of(&name, at, &words())?);
    }
    Ok(types)
}

const WHAT: &str = "an error type as in `unknown_ca`";

/// `a`, `a or b`, `a, b or c`.
pub(super) fn joined(types: &[ErrorType], conjunction: &str) -> String {
    let names: Vec<_> = types.iter().map(|one| one.as_str()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("{} {conjunction} {last}", rest.join(", "))
        }
        _ => names.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_with_commas_and_a_conjunction() {
        let types = [
            ErrorType::UnknownCa,
            ErrorType::SelfSigned,
            ErrorType::CertExpired,
        ];
        assert_eq!(joined(&types[..1], "or"), "unknown_ca");
        assert_eq!(joined(&types[..2], "or"), "unknown_ca or self_signed");
        assert_eq!(
            joined(&types, "or"),
            "unknown_ca, self_signed or cert_expired"
        );
    }
}
