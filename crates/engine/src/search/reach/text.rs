//! What one text asks for.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::{
    Unresolved,
    branches::{self, Branches},
};
use crate::search::{
    comments::{comments, is_inside},
    requests::{self, Name, Request, defined, requests, without_splices},
};

/// The requests of one text.
#[derive(Debug, Default)]
pub struct Text {
    /// The names that are asked for, by what has to be defined for that.
    pub names: BTreeMap<Needs, BTreeSet<Wanted>>,
    /// All macros that are defined.
    pub defined: Vec<Box<str>>,
    /// The macros that stand for names which are asked for, with what it means that one stands for something unknown.
    pub macros: Vec<(Box<str>, Unresolved)>,
    /// The values of macros, as far as these may be names.
    pub defines: Vec<(Box<str>, Value)>,
    pub unresolved: Option<Unresolved>,
}

/// Of each list, one macro at least must be defined.
pub type Needs = Vec<Vec<Box<str>>>;

/// A name of a file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub name: Box<str>,
    /// Whether it is looked for beside the text that asks, too.
    pub beside: bool,
}

/// The value of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A name of a file.
    Name(Box<str>),
    /// Another macro's.
    Macro(Box<str>),
    /// Something that only a compiler knows.
    Computed,
}

impl Text {
    /// Reads a source or header of C, C++ or preprocessed assembly.
    pub fn read(text: &[u8]) -> Self {
        let text = without_splices(text);
        let mut found = Self::default();
        let hidden = comments(&text);
        let branches = Branches::of(&text, &hidden);
        for (at, request) in requests(&text) {
            match request {
                Request::Include(Name::Macro(_) | Name::Computed)
                | Request::IncludeNext(Name::Macro(_) | Name::Computed)
                | Request::Probe(Name::Macro(_) | Name::Computed)
                    // Prose often looks like that; names in quotes are found in comments, too.
                    if is_inside(&hidden, at) => {}
                Request::Include(name) | Request::IncludeNext(name) => {
                    found.ask(name, &branches.needs(at), Unresolved::Computed);
                }
                Request::Probe(name) => found.ask(name, &branches.needs(at), Unresolved::Unlisted),
                Request::Define(name, value) => found.defines.push((name.into(), value.into())),
            }
        }
        for (at, name) in requests::arguments(&text) {
            found.want(name, true, &branches.needs(at));
        }
        // Other spellings of `#`, by which nothing above goes.
        if [&b"%:"[..], b"??="].iter().any(|it| memmem::find(&text, it).is_some()) {
            found.note(Unresolved::Computed);
        }
        // Directives of assemblers, which inline assembly may have as well.
        if [&b".incbin"[..], b".include"].iter().any(|it| memmem::find(&text, it).is_some()) {
            found.note(Unresolved::Unlisted);
        }
        found.defined = defined(&text).map(Into::into).collect();
        found
    }

    /// Notes why the text may read other files than it names. Of several reasons the greatest counts.
    pub fn note(&mut self, why: Unresolved) {
        self.unresolved = self.unresolved.max(Some(why));
    }

    fn ask(&mut self, name: Name<'_>, needs: &branches::Needs<'_>, otherwise: Unresolved) {
        match name {
            Name::Quoted(name) => self.want(name, true, needs),
            Name::Angled(name) => self.want(name, false, needs),
            Name::Macro(name) => self.macros.push((name.into(), otherwise)),
            Name::Computed => self.note(otherwise),
        }
    }

    fn want(&mut self, name: &str, beside: bool, needs: &branches::Needs<'_>) {
        let needs = needs.iter().map(|any| any.iter().map(|name| (*name).into()).collect());
        self.names.entry(needs.collect()).or_default().insert(Wanted { name: name.into(), beside });
    }
}

impl From<Name<'_>> for Value {
    fn from(name: Name<'_>) -> Self {
        match name {
            Name::Quoted(name) | Name::Angled(name) => Self::Name(name.into()),
            Name::Macro(name) => Self::Macro(name.into()),
            Name::Computed => Self::Computed,
        }
    }
}

/// Returns what arguments of a compiler define, such as `X` and `X="x.h"`, as a text that asks for nothing.
pub fn arguments(defines: &[String]) -> Text {
    let line = |define: &String| match define.split_once('=') {
        Some((name, value)) => format!("#define {name} {value}\n"),
        None => format!("#define {define}\n"),
    };
    Text::read(defines.iter().map(line).collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_compiler_lists_is_said_whatever_else_there_is() {
        for (text, unresolved) in [
            ("%:include <a.h>\n", Unresolved::Computed),
            ("#if __has_include(NAME(a))\n#endif\n", Unresolved::Unlisted),
            ("#if __has_include(NAME(a))\n#endif\n%:include <a.h>\n", Unresolved::Unlisted),
            ("??=include <a.h>\nasm(\".incbin x\");\n", Unresolved::Unlisted),
        ] {
            assert_eq!(Text::read(text.as_bytes()).unresolved, Some(unresolved), "{text}");
        }
    }
}
