//! Tables of options: each option of the model and of the jobs once, with its name, kind of value, accepted range, default,
//! help, and whether it belongs to the fingerprint of a resumable job.
//!
//! All front ends derive from these tables: the command line makes its arguments and their help from them, HTTP its checks
//! and its JSON schema. A table is the list of fields of a struct ([`RateOptions`], [`SceneOptions`], ...) that the macro
//! `options!` defines together with its [`Opt`]s, so that neither can have an option that the other lacks. In help texts
//! an option's name stands in backticks, as it is written in Rust and in JSON.
//!
//! To add an option see "Adding an option" in `docs/architecture.md`.

mod choice;
mod kind;
mod sets;

pub use choice::{ChoiceName, Duplicate, FallbackFill, NamedChoice, StaticMask};
pub use kind::{FromValue, Kind, Refusal, Value};
pub use sets::{
    ChainOptions, EncodeOptions, ImageOptions, ModelOptions, RateOptions, ReencodeOptions, SceneOptions,
    VideoOptions,
};

/// An option of a job: a row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Its name in Rust and in JSON, such as `cut_fill`; the command line writes hyphens.
    pub name: &'static str,
    /// The lines of its help, as doc comments are written.
    lines: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The value when it is not given, as text; nothing where the job decides.
    pub default: Option<&'static str>,
    /// What stands for its value in help, such as `N`.
    pub metavar: &'static str,
    /// A second name.
    pub alias: Option<&'static str>,
    /// Options that it does not go with.
    pub conflicts: &'static [&'static str],
    /// The option that it needs.
    pub requires: Option<&'static str>,
    /// Whether the command line has it.
    pub on_command_line: bool,
    /// Its form in HTTP; nothing where HTTP does not have it.
    pub http: Option<Http>,
    /// Whether the page has a field for it.
    pub on_page: bool,
    /// Whether the frames of a result depend on it, so that a job that was begun with another value does not resume.
    pub fingerprint: bool,
}

/// What an option of HTTP has of its own.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    /// The name in JSON.
    pub name: &'static str,
    /// What is accepted.
    pub kind: Kind,
    /// The value when it is not given; nothing where the job decides.
    pub default: Option<&'static str>,
    /// Its help, where that of the command line does not fit.
    pub help: Option<&'static str>,
}

impl Opt {
    /// An option of the command line that takes a value of this kind and belongs to the fingerprint.
    const fn new(kind: Kind) -> Self {
        Self {
            name: "",
            lines: "",
            kind,
            default: None,
            metavar: "",
            alias: None,
            conflicts: &[],
            requires: None,
            on_command_line: true,
            http: None,
            on_page: false,
            fingerprint: true,
        }
    }

    /// A switch, off when it is not given.
    const fn flag() -> Self {
        Self::new(Kind::Flag)
    }

    /// A choice among the values of `C`.
    const fn choice<C: NamedChoice>(metavar: &'static str) -> Self {
        Self::new(Kind::Choice(C::NAMES)).metavar(metavar)
    }

    const fn metavar(self, metavar: &'static str) -> Self {
        Self { metavar, ..self }
    }

    const fn default(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    const fn alias(self, alias: &'static str) -> Self {
        Self {
            alias: Some(alias),
            ..self
        }
    }

    const fn conflicts(self, conflicts: &'static [&'static str]) -> Self {
        Self { conflicts, ..self }
    }

    const fn requires(self, option: &'static str) -> Self {
        Self {
            requires: Some(option),
            ..self
        }
    }

    /// HTTP has it too, with the same name, kind and default.
    const fn http(self) -> Self {
        self.http_as("", self.kind)
    }

    /// HTTP has it too, with a name (the same where it is empty) and a kind of its own.
    const fn http_as(self, name: &'static str, kind: Kind) -> Self {
        let default = self.default;
        let help = None;
        Self {
            http: Some(Http {
                name,
                kind,
                default,
                help,
            }),
            ..self
        }
    }

    /// HTTP has another default. Follows [`Opt::http`].
    const fn http_default(self, default: &'static str) -> Self {
        match self.http {
            Some(http) => Self {
                http: Some(Http {
                    default: Some(default),
                    ..http
                }),
                ..self
            },
            None => self,
        }
    }

    /// HTTP has another help. Follows [`Opt::http`].
    const fn http_help(self, help: &'static str) -> Self {
        match self.http {
            Some(http) => Self {
                http: Some(Http {
                    help: Some(help),
                    ..http
                }),
                ..self
            },
            None => self,
        }
    }

    /// The page has a field for it. Follows [`Opt::http`].
    const fn page(self) -> Self {
        Self {
            on_page: true,
            ..self
        }
    }

    /// The command line has it otherwise, or not at all.
    const fn not_on_command_line(self) -> Self {
        Self {
            on_command_line: false,
            ..self
        }
    }

    /// The frames do not depend on it: a job resumes with another value.
    const fn not_in_fingerprint(self) -> Self {
        Self {
            fingerprint: false,
            ..self
        }
    }

    /// Its name, help lines and, in HTTP, its name there: what the macro `options!` adds to a row.
    const fn named(self, name: &'static str, lines: &'static str) -> Self {
        let http = match self.http {
            Some(http) if http.name.is_empty() => Some(Http { name, ..http }),
            http => http,
        };
        Self {
            name,
            lines,
            http,
            ..self
        }
    }

    /// The help in one line, with names of options in backticks.
    pub fn help(&self) -> &'static str {
        self.lines.trim_start()
    }

    /// The help in HTTP, with the default there.
    pub fn help_in_http(&self) -> String {
        let http = self.http;
        let text = http.and_then(|http| http.help).unwrap_or(self.help());
        match http.and_then(|http| http.default) {
            Some(default) => {
                let text = text.split(" [default: ").next().unwrap_or(text);
                format!("{text} [default: {default}]")
            }
            None => text.to_owned(),
        }
    }
}

/// A table of options and their values.
pub trait OptionSet: Default + Clone + Send + Sync + 'static {
    /// The options in the order of help.
    const TABLE: &'static [Opt];
    /// The heading of their help; empty for none.
    const HEADING: &'static str;

    /// Gives the option `name` of the table a value.
    ///
    /// # Errors
    /// [`Refusal`] for values of another kind and names that are not in the table.
    fn set(&mut self, name: &str, value: &Value) -> Result<(), Refusal>;
}

/// The default of the option `name` of a table.
fn initial<T: FromValue + Default>(table: &[Opt], name: &str) -> T {
    let opt = table.iter().find(|opt| opt.name == name);
    let value = opt.and_then(|opt| opt.kind.parse(opt.default?).ok());
    value
        .and_then(|value| T::from_value(&value).ok())
        .unwrap_or_default()
}

/// Defines a struct of options and its table: doc lines are the help, what follows `=>` is the rest of the row.
macro_rules! options {
    ($(#[$meta:meta])* $heading:literal pub struct $set:ident {
        $($(#[doc = $line:literal])+ pub $field:ident: $type:ty => $opt:expr,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $set { $($(#[doc = $line])+ pub $field: $type,)+ }

        impl OptionSet for $set {
            const TABLE: &'static [Opt] = &[$($opt.named(stringify!($field), concat!($($line),+)),)+];
            const HEADING: &'static str = $heading;

            fn set(&mut self, name: &str, value: &Value) -> std::result::Result<(), Refusal> {
                match name {
                    $(stringify!($field) => self.$field = FromValue::from_value(value)?,)+
                    _ => return Err(Refusal::Other(format!("there is no option {name}"))),
                }
                Ok(())
            }
        }

        impl Default for $set {
            fn default() -> Self {
                Self { $($field: initial(Self::TABLE, stringify!($field)),)+ }
            }
        }
    };
}
use options;

#[cfg(test)]
mod tests;
