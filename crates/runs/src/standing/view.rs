//! A line of a history, read without copying: there are hundreds of thousands of them at once.

mod quick;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

use crate::Category;
use crate::name;
use crate::result::{Outcome, RunKind, Stage, stage_of};

/// The part of a [`crate::history::Entry`] that the status needs.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Debug, PartialEq))]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a> {
    #[serde(borrow)]
    pub ts: Cow<'a, str>,
    #[serde(borrow)]
    pub run: Cow<'a, str>,
    #[serde(default = "full")]
    pub kind: RunKind,
    /// `None` in lines of the first version: see [`View::stage`].
    #[serde(default)]
    stage: Option<Stage>,
    /// Empty where there is no build.
    #[serde(borrow, default, alias = "build_hash")]
    pub build_hash: Cow<'a, str>,
    #[serde(rename = "status", deserialize_with = "success")]
    pub success: bool,
    #[serde(borrow)]
    pub category: Cow<'a, str>,
    /// Empty where it is not known.
    #[serde(borrow, default)]
    pub compiler: Cow<'a, str>,
    #[serde(default)]
    pub blessed: bool,
    #[serde(default)]
    pub error: Option<Cow<'a, str>>,
    #[serde(default, alias = "failed_dep")]
    failed_dep: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    failed_dependencies: Vec<Named<'a>>,
    #[serde(borrow, default)]
    root_failures: Vec<Named<'a>>,
    /// Whether it is in the numbers of a checkpoint.
    #[serde(skip)]
    pub folded: bool,
}

/// A build of which only the package matters here.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Debug, PartialEq))]
struct Named<'a> {
    #[serde(borrow)]
    package: Cow<'a, str>,
}

impl<'a> View<'a> {
    /// Reads a line; `None` when it is no entry.
    pub fn parse(line: &'a [u8]) -> Option<View<'a>> {
        let text = std::str::from_utf8(line).ok()?;
        let view = quick::parse(text).or_else(|| serde_json::from_str(text).ok());
        view.filter(|view: &View<'_>| name::is_run(&view.run))
    }

    /// The stage.
    pub fn stage(&self) -> Stage {
        self.stage.unwrap_or_else(|| stage_of(&Category::from(&*self.category)))
    }

    /// Its meaning for the package.
    pub fn outcome(&self) -> Outcome {
        match self.success {
            true => Outcome::Worked,
            false => Outcome::of(self.stage(), false, &Category::from(&*self.category)),
        }
    }

    /// The direct dependency that kept it from being tried.
    pub fn failed_dependency(&self) -> Option<&str> {
        let named = self.failed_dependencies.first().map(|named| &*named.package);
        named.or(self.failed_dep.as_deref())
    }

    /// The packages behind that, as far as it was recorded.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.root_failures.iter().map(|named| &*named.package)
    }
}

fn full() -> RunKind {
    RunKind::Full
}

fn success<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Cow::<'de, str>::deserialize(deserializer)? == "success")
}
