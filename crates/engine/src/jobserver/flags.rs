//! How `MAKEFLAGS` names a jobserver.

use std::{fmt, path::PathBuf};

/// The way to a jobserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// A fifo by its name.
    Fifo(PathBuf),
    /// The two ends of a pipe, as descriptors that are inherited: to read, to write.
    Descriptors(i32, i32),
    /// Some other way.
    Other(String),
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fifo(path) => write!(f, "fifo:{}", path.display()),
            Self::Descriptors(read, write) => write!(f, "{read},{write}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Returns the way to a jobserver that a value of `MAKEFLAGS` names; the last one counts.
pub fn parse(makeflags: &str) -> Option<Auth> {
    // What follows are variables, whose values may be anything.
    let options = makeflags.split_whitespace().take_while(|word| *word != "--");
    let names = ["--jobserver-auth=", "--jobserver-fds="];
    let values = options.filter_map(|word| names.iter().find_map(|name| word.strip_prefix(name)));
    let value = values.last()?;
    if let Some(path) = value.strip_prefix("fifo:") {
        return Some(Auth::Fifo(path.into()));
    }
    let numbers = value
        .split_once(',')
        .and_then(|(read, write)| Some(Auth::Descriptors(read.parse().ok()?, write.parse().ok()?)));
    // GNU make says so where the recipe is not marked as one that runs make.
    match numbers {
        Some(Auth::Descriptors(read, write)) if read < 0 || write < 0 => None,
        Some(numbers) => Some(numbers),
        None => Some(Auth::Other(value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts() {
        for (flags, auth) in [
            ("", None),
            ("k -j4", None),
            (" -j4 --jobserver-auth=3,4", Some(Auth::Descriptors(3, 4))),
            ("k -j --jobserver-fds=3,4 -- A=--jobserver-auth=9,9", Some(Auth::Descriptors(3, 4))),
            ("--jobserver-auth=3,4 --jobserver-auth=fifo:/t/f", Some(Auth::Fifo("/t/f".into()))),
            (" -j1 --jobserver-auth=-2,-2", None),
            ("--jobserver-auth=3", Some(Auth::Other("3".to_owned()))),
        ] {
            assert_eq!(parse(flags), auth, "{flags}");
        }
    }
}
