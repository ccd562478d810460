//! Headers that a compiler did not find because nobody said that they have to be made first.

use std::fmt;

use larder_project::plan::{Kind, Plan, Target, TargetId};
use larder_trace::Diagnostic;

use super::Finding;

/// A header that was not found, though a target of the same package makes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmade {
    /// The library or executable that includes it.
    pub user: String,
    /// The header, as it is included.
    pub header: String,
    /// The target that makes it.
    pub maker: String,
    /// The directory in the build directory that it would be found in, where the user needs the maker already.
    pub directory: Option<String>,
}

/// Returns for each header that was not found, according to `findings`, who would have made it, each once.
pub fn unmade(plan: &Plan, findings: &[Finding]) -> Vec<Unmade> {
    let missing = findings.iter().filter_map(|finding| {
        let header = missing_header(&finding.diagnostic)?;
        let user = plan.ids().find(|&id| *plan.target(id).label == *finding.target)?;
        make(plan, user, header)
    });
    let mut all: Vec<Unmade> = missing.collect();
    all.sort();
    all.dedup();
    all
}

/// The header that a compiler says it did not find, in the words of GCC and of Clang.
fn missing_header(diagnostic: &Diagnostic) -> Option<&str> {
    let message = diagnostic.message.as_str();
    let clang = || message.strip_suffix("' file not found")?.strip_prefix('\'');
    let name = message.strip_suffix(": No such file or directory").or_else(clang)?;
    // Linkers use the same words for other things.
    (diagnostic.line.is_some() && !name.contains(' ')).then_some(name)
}

fn make(plan: &Plan, user: TargetId, header: &str) -> Option<Unmade> {
    let own = plan.target(user);
    let below = format!("/{header}");
    let directory = |target: &Target| {
        let mut outputs = plan.outputs_of(target).into_iter();
        outputs.find_map(|(output, _)| match output.as_str().strip_suffix(&below) {
            Some(directory) => Some(directory.to_owned()),
            None => (output.as_str() == header).then(String::new),
        })
    };
    let (maker, directory) = plan.ids().find_map(|id| {
        let target = plan.target(id);
        let makes = matches!(target.kind, Kind::Command(_) | Kind::Config(_));
        let candidate = makes && target.package == own.package;
        Some((id, candidate.then(|| directory(target)).flatten()?))
    })?;
    let is_needed = plan.closure(&[user]).contains(&maker);
    let (user, header) = (own.name.clone(), header.to_owned());
    let maker = plan.target(maker).name.clone();
    Some(Unmade { user, header, maker, directory: is_needed.then_some(directory) })
}

impl fmt::Display for Unmade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, header, maker, directory } = self;
        write!(f, "{maker} makes {header}: ")?;
        match directory.as_deref() {
            None => write!(f, "add \"{{{maker}}}\" to the `inputs` of {user}"),
            Some("") => write!(f, "add \"{{build}}\" to the `includes` of {user}"),
            Some(path) => write!(f, "add \"{{build}}/{path}\" to the `includes` of {user}"),
        }
    }
}
