//! The memory of what has been said to whom: `DATA/notified/<channel>.json`.
//!
//! ```json
//! {"schemaVersion": 1, "recipients": {"ops@example.org": {
//!   "said": {"fmt.0.9.0 build": {"is": "failing", "since": "2026-03-02-020000"},
//!            "lwt.5.9.0 build": {"is": "failing", "since": "2026-03-02-020000", "root": "fmt.0.9.0"},
//!            "zlib.1.3.1 build": {"is": "working"}, "dune.3.1": {"is": "new"}},
//!   "threads": {"fmt.0.9.0": "<…@example.org>"}}}}
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use larder_runs::file::{Durability, write_if_changed};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::http::chain;
use crate::news::{Failure, News};

/// The memory of one channel.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    schema_version: u32,
    /// By address; channels that are one place have one recipient, the channel's name.
    pub recipients: BTreeMap<String, Heard>,
}

/// The news that one recipient has heard.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Heard {
    /// By subject, what was said of it last.
    pub said: BTreeMap<String, Said>,
    /// By root failure, the mail that began its thread.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub threads: BTreeMap<String, String>,
}

/// The last thing that was said of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(crate) enum Said {
    /// That it fails, and since which run.
    Failing {
        since: String,
        /// Because of which package.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        root: Option<String>,
    },
    /// That it works again.
    Working,
    /// That it is a new package.
    New,
    /// That it is gone.
    Gone,
}

const VERSION: u32 = 1;

impl Told {
    /// Reads what has been said; nothing, where there is no file.
    ///
    /// # Errors
    /// [`Error::File`] when the file is not as larder writes it: were it taken for empty, everything would be
    /// said again.
    pub fn read(path: &Path) -> Result<Told> {
        let wrong = |reason: String| Error::File { path: path.to_owned(), reason };
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Told::default()),
            other => other.map_err(|error| wrong(chain(&error)))?,
        };
        let told: Told = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("{error}; remove it to have everything said again")))?;
        match told.schema_version {
            ..=VERSION => Ok(told),
            newer => Err(wrong(format!("version {newer} is that of a newer larder"))),
        }
    }

    /// The news that somebody has heard, by the address; or by the name, as it was once kept.
    pub fn heard(&self, address: &str, name: &str) -> Option<Heard> {
        self.recipients.get(address).or_else(|| self.recipients.get(name)).cloned()
    }

    /// Replaces the file in one step.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&mut self, path: &Path) -> Result<()> {
        self.schema_version = VERSION;
        let wrong = |reason: String| Error::File { path: path.to_owned(), reason };
        let text = serde_json::to_vec(self).map_err(|error| wrong(error.to_string()))?;
        match write_if_changed(path, &text, Durability::Power) {
            Ok(_) => Ok(()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }
}

impl Heard {
    /// Notes that all of the news has been said, as far as it `concerns` the recipient.
    pub fn note(&mut self, news: &News, concerns: impl Fn(&str) -> bool) {
        let mut said: BTreeMap<String, Said> = BTreeMap::new();
        let keep = |(subject, what): (&String, &Said)| {
            let standing = !matches!(what, Said::Failing { .. });
            standing.then(|| (subject.clone(), what.clone()))
        };
        said.extend(self.said.iter().filter_map(keep));
        let worked = self.said.iter().filter(|(_, what)| matches!(what, Said::Failing { .. }));
        let working: Vec<String> = news.working.iter().map(ToString::to_string).collect();
        said.extend(
            worked
                .filter(|(subject, _)| working.contains(subject))
                .map(|(s, _)| (s.clone(), Said::Working)),
        );
        let mended = news.mended.iter().filter(|subject| concerns(&subject.package));
        said.extend(mended.map(|subject| (subject.to_string(), Said::Working)));
        let failing = news.failing.iter().filter(|failure| concerns(&failure.subject.package));
        said.extend(failing.map(|failure| (failure.subject.to_string(), Said::of(failure))));
        let new = news.new_packages.iter().filter(|package| concerns(package));
        said.extend(new.map(|package| (package.clone(), Said::New)));
        let gone = news.gone_packages.iter().filter(|package| concerns(package));
        said.extend(gone.map(|package| (package.clone(), Said::Gone)));
        self.said = said;
        let failing = |root: &String| news.failing.iter().any(|f| f.subject.package == *root);
        self.threads.retain(|root, _| failing(root));
    }
}

impl Said {
    /// The thing to say of a failure.
    pub fn of(failure: &Failure) -> Said {
        Said::Failing { since: failure.since.clone(), root: failure.root.clone() }
    }
}
