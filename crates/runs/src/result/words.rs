//! The words of a result: each is one of a few, and each few are a type.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Category;
use crate::error::Error;

macro_rules! words {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "lowercase")]
        pub enum $type { $($(#[$doc])* $variant,)+ }

        impl $type {
            /// Every one, in order.
            pub const ALL: [$type; [$($word),+].len()] = [$($type::$variant),+];

            /// The word for it, in files and on the command line.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = Error;
            fn from_str(word: &str) -> Result<$type, Error> {
                let found = $type::ALL.into_iter().find(|one| one.name() == word);
                found.ok_or_else(|| Error::Word { word: word.to_owned(), known: &[$($word),+] })
            }
        }
    };
}

words! {
    /// The things that are done for a package, in this order.
    Stage {
        /// Its dependencies' versions are chosen.
        Solve = "solve",
        /// It is built.
        Build = "build",
        /// Its tests run.
        Test = "test",
        /// Its documentation is made.
        Doc = "doc",
    }
}

words! {
    /// Whether it worked. Why not is the category's to say.
    Status {
        /// It did.
        Success = "success",
        /// It did not.
        Failure = "failure",
    }
}

words! {
    /// Where a result comes from.
    Origin {
        /// The work was done in this run.
        Built = "built",
        /// It was there already.
        Cached = "cached",
        /// It came from a store or a service.
        Restored = "restored",
        /// It was not tried.
        Skipped = "skipped",
    }
}

words! {
    /// The kinds of runs, by what they set out to do.
    RunKind {
        /// The whole set, solved anew: what the status of an ecosystem is made of.
        Full = "full",
        /// Some packages, asked for by name or because of what blocked them, and what they need.
        Rerun = "rerun",
        /// The packages that a revision of the set changed.
        Since = "since",
        /// The same as another run with something else, such as a compiler. Says nothing of the status.
        Compare = "compare",
    }
}

words! {
    /// The meaning of a result for its package: each result is exactly one of these.
    Outcome {
        /// It works.
        Worked = "worked",
        /// It fails itself.
        Failed = "failed",
        /// It was not tried because something that it needs failed.
        Blocked = "blocked",
        /// No versions fit together.
        Unsolved = "unsolved",
    }
}

impl Outcome {
    /// The outcome of a stage that ended so.
    pub(crate) fn of(stage: Stage, success: bool, category: &Category) -> Outcome {
        match (success, category) {
            (true, _) => Outcome::Worked,
            (false, Category::DependencyFailure) => Outcome::Blocked,
            (false, _) if stage == Stage::Solve => Outcome::Unsolved,
            (false, _) => Outcome::Failed,
        }
    }

    /// The meaning of several results together, each given with whether it is blessed: the blessed one counts
    /// alone; without one, the worst. `None` where there are none.
    pub(crate) fn verdict(results: impl IntoIterator<Item = (bool, Outcome)>) -> Option<Outcome> {
        let rank = |outcome: &Outcome| match outcome {
            Outcome::Worked => 0,
            Outcome::Blocked => 1,
            Outcome::Failed => 2,
            Outcome::Unsolved => 3,
        };
        results
            .into_iter()
            .max_by_key(|(blessed, outcome)| (*blessed, rank(outcome)))
            .map(|(_, outcome)| outcome)
    }
}
