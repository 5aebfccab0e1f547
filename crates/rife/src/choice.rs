//! Named choices: enums whose values have a name and a line of help, for command line, HTTP, schema and fingerprints.

/// Name and help text of a value of an enumerated option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChoiceName {
    /// Name in lower case.
    pub name: &'static str,
    /// Help text of one line; empty if the name says it.
    pub help: &'static str,
}

/// An enum whose values have names in options.
pub trait NamedChoice: Copy + PartialEq + 'static {
    /// All values in the order of the help.
    const VALUES: &'static [Self];
    /// Names and help texts of the values, in the same order.
    const NAMES: &'static [ChoiceName];

    /// Returns the value with this name.
    fn of_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().position(|known| known.name == name)?;
        Self::VALUES.get(found).copied()
    }

    /// Returns the value's name.
    fn option_name(self) -> &'static str {
        let found = Self::VALUES.iter().position(|known| *known == self);
        found
            .and_then(|index| Self::NAMES.get(index))
            .map_or("", |known| known.name)
    }
}
