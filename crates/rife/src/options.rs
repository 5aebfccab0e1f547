//! Option tables: each option of the model and of the jobs, defined once, with its name, type of value, accepted range,
//! default, help, and whether it belongs to the fingerprint of a resumable job.
//!
//! The command line derives its arguments and help from these tables, HTTP its validation and JSON schema. The macro
//! `options!` defines a struct of options ([`RateOptions`], [`SceneOptions`], ...) together with its table of [`Opt`]s. In
//! help texts, names of options are in backticks, as in Rust and JSON.
//!
//! To add an option see `docs/adding/option.md`.

mod choice;
mod kind;
mod sets;

pub use choice::{ChoiceName, Duplicate, FallbackFill, NamedChoice, StaticMask};
pub use kind::{FromValue, Kind, Refusal, Value};
pub use sets::{
    ChainOptions, EncodeOptions, ImageOptions, ModelOptions, RateOptions, ReencodeOptions, SceneOptions,
    VideoOptions,
};

/// An option of a job or model: a row of an option table.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Name in Rust and JSON, such as `cut_fill`; the command line replaces `_` by `-`.
    pub name: &'static str,
    /// Help text from the doc comment, with its leading space.
    lines: &'static str,
    /// Type and range of the value.
    pub kind: Kind,
    /// Default value as text; `None` if the job chooses it.
    pub default: Option<&'static str>,
    /// Placeholder of the value in help, such as `N`.
    pub metavar: &'static str,
    /// A second name.
    pub alias: Option<&'static str>,
    /// Names of options that cannot be given together with this one.
    pub conflicts: &'static [&'static str],
    /// Name of the option that must be given, too.
    pub requires: Option<&'static str>,
    /// Whether the command line has the option.
    pub on_command_line: bool,
    /// The option in HTTP; `None` if HTTP does not have it.
    pub http: Option<Http>,
    /// Whether the web page has a field for the option.
    pub on_page: bool,
    /// Whether the frames of a result depend on the option, so that an unfinished job with another value is not resumed.
    pub fingerprint: bool,
}

/// Properties of an option in HTTP, where they differ from the command line's.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    /// Name in JSON.
    pub name: &'static str,
    /// Type and range of the value.
    pub kind: Kind,
    /// Default value as text; `None` if the job chooses it.
    pub default: Option<&'static str>,
    /// Help text; `None` for that of the command line.
    pub help: Option<&'static str>,
}

impl Opt {
    /// Makes an option of the command line that belongs to the fingerprint.
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

    /// Makes a switch, off by default.
    const fn flag() -> Self {
        Self::new(Kind::Flag)
    }

    /// Makes an option whose values are the names of `C`.
    const fn choice<C: NamedChoice>(metavar: &'static str) -> Self {
        Self::new(Kind::Choice(C::NAMES)).metavar(metavar)
    }

    /// Sets the placeholder of the value in help.
    const fn metavar(self, metavar: &'static str) -> Self {
        Self { metavar, ..self }
    }

    /// Sets the default value.
    const fn default(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    /// Sets a second name.
    const fn alias(self, alias: &'static str) -> Self {
        Self {
            alias: Some(alias),
            ..self
        }
    }

    /// Sets the options that cannot be given together with this one.
    const fn conflicts(self, conflicts: &'static [&'static str]) -> Self {
        Self { conflicts, ..self }
    }

    /// Sets the option that must be given, too.
    const fn requires(self, option: &'static str) -> Self {
        Self {
            requires: Some(option),
            ..self
        }
    }

    /// Adds the option to HTTP, with the same name, kind and default.
    const fn http(self) -> Self {
        self.http_as("", self.kind)
    }

    /// Adds the option to HTTP with another name (the same if empty) and kind.
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

    /// Sets another default in HTTP; call it after [`Opt::http`].
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

    /// Sets another help text in HTTP; call it after [`Opt::http`].
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

    /// Adds a field to the web page; call it after [`Opt::http`].
    const fn page(self) -> Self {
        Self {
            on_page: true,
            ..self
        }
    }

    /// Removes the option from the command line's table.
    const fn not_on_command_line(self) -> Self {
        Self {
            on_command_line: false,
            ..self
        }
    }

    /// Excludes the option from the fingerprint: a job resumes with another value.
    const fn not_in_fingerprint(self) -> Self {
        Self {
            fingerprint: false,
            ..self
        }
    }

    /// Sets name and help text, and the name in HTTP unless set; called by the macro `options!`.
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

    /// Returns the help text in one line, with names of options in backticks.
    pub fn help(&self) -> &'static str {
        self.lines.trim_start()
    }

    /// Returns the help text in HTTP, with the default there.
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

/// A struct of options with its table.
pub trait OptionSet: Default + Clone + Send + Sync + 'static {
    /// The options in the order of the help.
    const TABLE: &'static [Opt];
    /// Heading of the options in the help; empty for none.
    const HEADING: &'static str;

    /// Sets the option `name` to a value.
    ///
    /// # Errors
    /// [`Refusal`] for values of another kind and names that are not in the table.
    fn set(&mut self, name: &str, value: &Value) -> Result<(), Refusal>;
}

/// Parses the default of the option `name` of a table; the type's default if the option has none.
fn initial<T: FromValue + Default>(table: &[Opt], name: &str) -> T {
    let opt = table.iter().find(|opt| opt.name == name);
    let value = opt.and_then(|opt| opt.kind.parse(opt.default?).ok());
    value
        .and_then(|value| T::from_value(&value).ok())
        .unwrap_or_default()
}

/// Defines a struct of options and its table: doc comments are the help, `=>` precedes the [`Opt`] of a field.
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
