//! What a specification's fields hold, as data.

/// The fields of one object.
#[derive(Debug)]
pub struct Shape {
    /// As people call it: "a Placement", "policy".
    pub name: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
    /// Of each of these groups exactly one field must be there.
    pub one_of: &'static [&'static [&'static str]],
}

#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub of: Of,
    pub required: bool,
    /// What stands where it is left out, in words.
    pub default: &'static str,
    pub doc: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    Bool,
    /// A name of the given thing: what it is, and whether a text is one.
    Name(&'static str, fn(&str) -> Result<(), String>),
    Count {
        min: u64,
        max: u64,
    },
    Duration {
        min_ms: u64,
        max_ms: u64,
    },
    /// Of a node's processors.
    Cores,
    /// Of memory or disk.
    Bytes,
    OneOf(&'static [&'static str]),
    Object(&'static Shape),
    List(&'static Of),
    /// The words of a command line; one may be there twice.
    Words,
    /// Names to texts, as the labels of nodes.
    Labels,
    /// An object whose fields something else knows: a service type's configuration.
    Free,
}

impl Field {
    pub const fn new(name: &'static str, of: Of, default: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            of,
            required: false,
            default,
            doc,
        }
    }

    pub const fn required(name: &'static str, of: Of, doc: &'static str) -> Self {
        Self {
            name,
            of,
            required: true,
            default: "",
            doc,
        }
    }
}

impl Of {
    /// In words, as messages and the reference say it.
    pub fn words(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Name(what, _) => (*what).to_owned(),
            Self::Count { min, max } => format!("a number from {min} to {max}"),
            Self::Duration { .. } => "a time such as 30s or 10m".to_owned(),
            Self::Cores => "a number of cores such as 2, 0.5 or 500m".to_owned(),
            Self::Bytes => "a number of bytes such as 512MiB or 4GiB".to_owned(),
            Self::OneOf(words) => words.join(" or "),
            Self::Object(shape) => format!("an object: {}", shape.names().join(", ")),
            Self::List(of) => format!("a list, each {}", of.words()),
            Self::Words => "a list of words".to_owned(),
            Self::Labels => "an object of texts".to_owned(),
            Self::Free => "an object".to_owned(),
        }
    }
}

impl Shape {
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.name).collect()
    }

    /// The field at the end of names with dots, through lists as if they were what is in them.
    pub fn find(&'static self, path: &str) -> Option<&'static Field> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let field = self.field(name)?;
        let Some(rest) = rest else {
            return Some(field);
        };
        let mut of = &field.of;
        while let Of::List(inner) = of {
            of = inner;
        }
        match of {
            Of::Object(shape) => shape.find(rest),
            Of::Bool
            | Of::Name(..)
            | Of::Count { .. }
            | Of::Duration { .. }
            | Of::Cores
            | Of::Bytes
            | Of::OneOf(_)
            | Of::List(_)
            | Of::Words
            | Of::Labels
            | Of::Free => None,
        }
    }
}
