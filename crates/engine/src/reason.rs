//! Why a target is not up to date, down to the input that changed.

use std::{collections::HashMap, fmt, sync::Arc};

use larder_store::InputNode;
use larder_trace::BuildTrace;

/// Why a target is not up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It has never been built, or its record is gone.
    NotBuilt,
    /// The build that was to make it did not finish.
    Interrupted,
    /// An output is not there.
    OutputMissing(String),
    /// An output is not what the build made.
    OutputChanged(String),
    /// Named parts of its trace changed.
    Inputs(Vec<Difference>),
    /// Inputs that the build found by itself changed: portable paths.
    Discovered(Vec<String>),
    /// A file has appeared or gone where the build looked for its inputs, and would be found instead.
    Searched,
    /// It is made in every build.
    Always,
    /// Something that it needs is out of date.
    Needs(String),
    /// The service has no entry for its output.
    NeverUploaded,
    /// The service has another entry for its output, which does not tell what it was made from.
    InputsUnknown,
    /// Files have appeared where the build looked for its inputs, and would be found: portable paths.
    Appeared(Vec<String>),
    /// All of these.
    Several(Vec<Reason>),
}

/// One named part of a trace that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The names from the outside in, such as `toolchain`, `cc`, `driver`.
    pub path: Vec<String>,
    /// How it changed.
    pub change: Change,
}

/// How a part of a trace differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Its content changed, from and to these values where they are kept.
    Changed(Option<(String, String)>),
    /// The same parts in another order.
    Reordered,
}

/// A named part of what something was made from.
pub trait Part {
    /// Its name.
    fn name(&self) -> &str;
    /// Whether another part of that name has the same content.
    fn is_same(&self, other: &Self) -> bool;
    /// Its value, where that is kept.
    fn value(&self) -> Option<&str>;
    /// The parts that it is made of, where they are kept.
    fn parts(&self) -> &[Arc<Self>];
}

impl Part for BuildTrace {
    fn name(&self) -> &str {
        self.name()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }

    fn value(&self) -> Option<&str> {
        self.value()
    }

    fn parts(&self) -> &[Arc<Self>] {
        self.parts()
    }
}

impl Part for InputNode {
    fn name(&self) -> &str {
        self.name()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn value(&self) -> Option<&str> {
        self.value()
    }

    fn parts(&self) -> &[Arc<Self>] {
        self.parts()
    }
}

/// The parts that differ between two lists of them that are not the same, looked into as deep as both go.
pub fn differences<P: Part>(old: &[Arc<P>], new: &[Arc<P>]) -> Vec<Difference> {
    let mut found = Vec::new();
    descend(&mut Vec::new(), old, new, &mut found);
    if found.is_empty() {
        found.push(Difference { path: vec!["inputs".to_owned()], change: Change::Reordered });
    }
    found
}

fn descend<P: Part>(
    path: &mut Vec<String>,
    old: &[Arc<P>],
    new: &[Arc<P>],
    found: &mut Vec<Difference>,
) {
    let before: HashMap<&str, &Arc<P>> = old.iter().map(|part| (part.name(), part)).collect();
    let after: HashMap<&str, &Arc<P>> = new.iter().map(|part| (part.name(), part)).collect();
    let known = found.len();
    let mut push = |path: &[String], name: &str, change| {
        let mut path = path.to_vec();
        path.push(name.to_owned());
        found.push(Difference { path, change });
    };
    for part in old.iter().filter(|part| !after.contains_key(part.name())) {
        push(path, part.name(), Change::Removed);
    }
    let mut inner = Vec::new();
    for part in new {
        match before.get(part.name()) {
            None => push(path, part.name(), Change::Added),
            Some(old) if old.is_same(part) => {}
            Some(old) if old.parts().is_empty() || part.parts().is_empty() => {
                let values = old.value().zip(part.value());
                let values = values.map(|(old, new)| (old.to_owned(), new.to_owned()));
                push(path, part.name(), Change::Changed(values));
            }
            Some(old) => {
                path.push(part.name().to_owned());
                descend(path, old.parts(), part.parts(), &mut inner);
                path.pop();
            }
        }
    }
    found.append(&mut inner);
    if found.len() == known && !path.is_empty() {
        let names = |parts: &[Arc<P>]| parts.iter().map(|part| part.name().to_owned()).collect();
        let (before, after): (Vec<String>, Vec<String>) = (names(old), names(new));
        // A part may have content of its own besides its parts, as a script has besides its interpreter.
        let change = if before == after { Change::Changed(None) } else { Change::Reordered };
        found.push(Difference { path: path.clone(), change });
    }
}

impl Reason {
    /// Each thing that makes the target out of date, by itself.
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Discovered(paths) => paths.iter().map(|path| format!("{path} changed")).collect(),
            Self::Inputs(differences) => differences.iter().map(Difference::to_string).collect(),
            Self::NotBuilt => vec!["not built yet".to_owned()],
            Self::Interrupted => vec!["its last build did not finish".to_owned()],
            Self::OutputMissing(path) => vec![format!("{path} is missing")],
            Self::OutputChanged(path) => vec![format!("{path} is not what the build made")],
            Self::Searched => {
                vec!["a file appeared or vanished where its inputs are looked for".to_owned()]
            }
            Self::Always => vec!["it is made anew in every build".to_owned()],
            Self::Needs(target) => vec![format!("{target} is out of date")],
            Self::NeverUploaded => vec!["never uploaded".to_owned()],
            Self::InputsUnknown => {
                vec![
                    "something changed, and the upload does not tell what it was made from"
                        .to_owned(),
                ]
            }
            Self::Appeared(paths) => paths.iter().map(|path| format!("{path} is new")).collect(),
            Self::Several(reasons) => reasons.iter().flat_map(Self::causes).collect(),
        }
    }
}

/// The first few of all causes, and how many more.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let causes = self.causes();
        f.write_str(&causes[..causes.len().min(SHOWN)].join(", "))?;
        match causes.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            hidden => write!(f, " and {hidden} more"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The group of input files needs no mention: their names say what they are.
        let path = match self.path.as_slice() {
            [group, inner @ ..] if group == "inputs" && !inner.is_empty() => inner,
            path => path,
        };
        let name = path.join(" ");
        match &self.change {
            Change::Added => write!(f, "{name} is new"),
            Change::Removed => write!(f, "{name} is gone"),
            Change::Reordered => write!(f, "the order of {name} changed"),
            Change::Changed(None) => write!(f, "{name} changed"),
            Change::Changed(Some((old, new))) => write!(f, "{name} changed from {old} to {new}"),
        }
    }
}
