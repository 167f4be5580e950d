//! Texts with a form of their own: what each of them can do.

/// What a text that is checked when it is made can do besides.
macro_rules! texts {
    ($($name:ident: $bad:ident)*) => {$(
        impl TryFrom<smol_str::SmolStr> for $name {
            type Error = $bad;
            fn try_from(text: smol_str::SmolStr) -> Result<Self, $bad> {
                Self::new(&text)
            }
        }

        impl From<$name> for smol_str::SmolStr {
            fn from(name: $name) -> smol_str::SmolStr {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $bad;
            fn from_str(text: &str) -> Result<Self, $bad> {
                Self::new(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

pub(crate) use texts;
