//! The environment's variables.

use std::{env, fmt::Display, str::FromStr};

/// The value of a variable that may be unset; an empty one is as good as unset.
pub(crate) fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of one that may not.
pub(crate) fn needed(name: &str) -> Result<String, String> {
    optional(name).ok_or_else(|| format!("`{name}` is not set"))
}

/// A value that means something.
pub(crate) fn parsed<T: FromStr<Err: Display>>(name: &str, value: &str) -> Result<T, String> {
    value.trim().parse().map_err(|error| format!("`{name}`: {error}"))
}
