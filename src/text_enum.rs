//! Enums whose values have a text, in one declaration.

/// Declares an enum whose values have a text: the one in events, reports and metric labels.
///
/// Adds `ALL`, `as_str` and `Display` to the type.
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $type:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        $(#[$meta])*
        $vis enum $type {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $type {
            /// Every value, in the order of the documentation.
            $vis const ALL: &'static [Self] = &[$(Self::$variant,)*];

            #[doc = concat!("The text in events and other outputs:\n", $("\n- `", $text, "`",)*)]
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    text_enum! {
        /// Two letters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Letter {
            /// The first.
            A = "a",
            /// The second.
            B = "b",
        }
    }

    #[test]
    fn values_keep_their_order_and_print_their_text() {
        assert_eq!(Letter::ALL, [Letter::A, Letter::B]);
        assert_eq!(Letter::B.as_str(), "b");
        assert_eq!(format!("[{:3}]", Letter::A), "[a  ]");
    }
}
