//! The kinds of results.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kind of a result. An open set: a user's rules may name kinds of their own.
///
/// As text, in files and on the command line, a kind is its name in snake case: `build_failure`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// It worked.
    Success,
    /// It does not compile, and nothing more is known.
    BuildFailure,
    /// Its tests fail.
    TestFailure,
    /// Something it needs failed, so it was not tried.
    DependencyFailure,
    /// No versions fit together.
    NoSolution,
    /// A header, a library or a tool of the system is not installed.
    MissingSystemPackage,
    /// Its documentation does not compile.
    DocCompileFailure,
    /// Its documentation does not link.
    DocLinkFailure,
    /// A program ended by a signal of its own making, such as a segmentation fault.
    Crash,
    /// The machine ran out of memory.
    OutOfMemory,
    /// The machine ran out of disk space.
    DiskFull,
    /// It took too long.
    Timeout,
    /// It printed more than a log may hold.
    LogLimit,
    /// It was ended from outside by a signal.
    Killed,
    /// The network or a server failed.
    Network,
    /// Something else that is likely to be gone next time.
    TransientFailure,
    /// A kind that a user's rules name.
    Custom(String),
}

impl Category {
    /// Every kind that larder knows by itself.
    pub const KNOWN: [Category; 16] = [
        Category::Success,
        Category::BuildFailure,
        Category::TestFailure,
        Category::DependencyFailure,
        Category::NoSolution,
        Category::MissingSystemPackage,
        Category::DocCompileFailure,
        Category::DocLinkFailure,
        Category::Crash,
        Category::OutOfMemory,
        Category::DiskFull,
        Category::Timeout,
        Category::LogLimit,
        Category::Killed,
        Category::Network,
        Category::TransientFailure,
    ];

    /// Its name, such as `build_failure`.
    pub fn name(&self) -> &str {
        match self {
            Category::Success => "success",
            Category::BuildFailure => "build_failure",
            Category::TestFailure => "test_failure",
            Category::DependencyFailure => "dependency_failure",
            Category::NoSolution => "no_solution",
            Category::MissingSystemPackage => "missing_system_package",
            Category::DocCompileFailure => "doc_compile_failure",
            Category::DocLinkFailure => "doc_link_failure",
            Category::Crash => "crash",
            Category::OutOfMemory => "out_of_memory",
            Category::DiskFull => "disk_full",
            Category::Timeout => "timeout",
            Category::LogLimit => "log_limit",
            Category::Killed => "killed",
            Category::Network => "network",
            Category::TransientFailure => "transient_failure",
            Category::Custom(name) => name,
        }
    }

    /// The kinds that a file of classification rules names. None where it cannot be read: what is wrong
    /// with it is said where logs are classified.
    pub fn named_in(rules: &Path) -> Vec<Category> {
        #[derive(Deserialize)]
        struct Rules {
            #[serde(default, rename = "rule")]
            rules: Vec<Rule>,
        }
        #[derive(Deserialize)]
        struct Rule {
            category: Category,
        }
        let text = fs::read_to_string(rules).unwrap_or_default();
        let parsed: Result<Rules, _> = toml::from_str(&text);
        parsed.map_or(Vec::new(), |file| file.rules.into_iter().map(|rule| rule.category).collect())
    }

    /// Whether it says something of the machine or the network on that day, and nothing of the package.
    pub fn is_weather(&self) -> bool {
        matches!(
            self,
            Category::OutOfMemory
                | Category::DiskFull
                | Category::Killed
                | Category::Network
                | Category::TransientFailure
        )
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<&str> for Category {
    fn from(name: &str) -> Category {
        let known = Category::KNOWN.into_iter().find(|category| category.name() == name);
        known.unwrap_or_else(|| Category::Custom(name.to_owned()))
    }
}

impl FromStr for Category {
    type Err = Infallible;
    fn from_str(name: &str) -> Result<Category, Infallible> {
        Ok(name.into())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Category {
    fn schema_name() -> Cow<'static, str> {
        "Category".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known = Category::KNOWN.map(|category| category.name().to_owned()).join(", ");
        schemars::json_schema!({
            "type": "string",
            "description": format!("The kind of a result: {known}, or what a rule of the set says."),
        })
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Category {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Category, D::Error> {
        Cow::<'de, str>::deserialize(deserializer).map(|name| Category::from(&*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_kind() {
        for category in Category::KNOWN {
            assert_eq!(Category::from(category.name()), category);
        }
        assert_eq!(Category::from("licence"), Category::Custom("licence".to_owned()));
        assert_eq!(serde_json::to_string(&Category::LogLimit).unwrap(), "\"log_limit\"");
        assert_eq!(
            serde_json::from_str::<Category>("\"test\\u005ffailure\"").unwrap(),
            Category::TestFailure
        );
    }
}
