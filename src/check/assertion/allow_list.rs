//! Lists of what is allowed or forbidden.

/// Whether a list says what is allowed or what is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    /// Everything else is forbidden.
    Allowed,
    /// Everything else is allowed.
    Forbidden,
}

impl ListKind {
    /// Whether something is allowed, given whether the list has it.
    pub(super) fn allows(self, is_listed: bool) -> bool {
        is_listed == (self == Self::Allowed)
    }

    /// `cipher suite A, B` if these are allowed, `cipher suite other than A, B` if they are forbidden.
    pub(super) fn requirement(self, what: &str, names: &[String]) -> String {
        /// A report needs one clause; the policy has the whole list.
        const SHOWN: usize = 6;
        let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" or {more} more"),
        };
        let names = format!("{}{more}", shown.join(", "));
        match self {
            Self::Allowed => format!("{what} {names}"),
            Self::Forbidden => format!("{what} other than {names}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_shown_up_to_six_names() {
        let names: Vec<_> = ('a'..='g').map(String::from).collect();
        let allowed = ListKind::Allowed.requirement("group", &names[..6]);
        assert_eq!(allowed, "group a, b, c, d, e, f");
        let forbidden = ListKind::Forbidden.requirement("group", &names);
        assert_eq!(forbidden, "group other than a, b, c, d, e, f or 1 more");
    }
}
