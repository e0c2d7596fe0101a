//! The macro behind every closed list of words on the wire.
//!
//! A word list is one table: variant, spelling, meaning. Serialisation,
//! parsing, the JSON schema and the reference page all come from that table,
//! so none of them can forget a word.

/// Declares a closed enum whose variants are words on the wire.
///
/// The doc comment of a variant is its meaning; it reaches the schema and the
/// reference page through `meaning`.
macro_rules! words {
    (
        $(#[doc = $about:literal])+
        pub enum $name:ident {
            $( $(#[doc = $meaning:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $( $(#[doc = $meaning])+ #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            /// Every word, in the order of its table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Every spelling, in the order of the table.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The spelling on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What the word means, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii()),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err($crate::words::UnknownWord::new(other, Self::WORDS)),
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::words::word_schema(
                    concat!($($about),+),
                    Self::ALL.iter().map(|word| (word.as_str(), word.meaning())),
                )
            }
        }
    };
}
