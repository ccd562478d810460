//! Reading which headers a text asks for.

use std::collections::BTreeSet;

use super::requests::{Name, Request, requests, without_splices};

/// Stands for names that only the compiler could compute, such as `__has_include(NAME)`: then every new
/// name in a searched directory counts.
pub const ANY: &str = "*";

/// The names that texts ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Names that decide something whether or not a header is found by them: from `__has_include`,
    /// `__has_include_next`, `__has_embed` and `#include_next`, and names with a `..` part. [`ANY`]
    /// where one is computed.
    pub probed: BTreeSet<String>,
    /// All other names after `#include` and `#embed`.
    pub included: BTreeSet<String>,
}

impl Asked {
    /// Adds what `text`, a source or header of C, C++ or preprocessed assembly, asks for. Comments and
    /// conditions are not understood: what they hide is asked for too.
    pub fn scan(&mut self, text: &[u8]) {
        for (_, request) in requests(&without_splices(text)) {
            match request {
                Request::Include(Name::Quoted(name) | Name::Angled(name)) => self.include(name),
                Request::Probe(name) | Request::IncludeNext(name) => match name {
                    Name::Quoted(name) | Name::Angled(name) => {
                        _ = self.probed.insert(name.to_owned())
                    }
                    Name::Macro(_) | Name::Computed => _ = self.probed.insert(ANY.to_owned()),
                },
                // A computed name may come to this.
                Request::Define(_, Name::Quoted(name) | Name::Angled(name)) => {
                    self.included.insert(name.to_owned());
                }
                Request::Include(_) | Request::Define(..) => {}
            }
        }
    }

    fn include(&mut self, name: &str) {
        match name.split('/').any(|part| part == "..") {
            true => self.probed.insert(name.to_owned()),
            false => self.included.insert(name.to_owned()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> (Vec<String>, Vec<String>) {
        let mut asked = Asked::default();
        asked.scan(text.as_bytes());
        (asked.probed.into_iter().collect(), asked.included.into_iter().collect())
    }

    #[test]
    fn names_that_are_asked_for() {
        let (probed, included) = scan(
            "#include <stdio.h>\n # include /* why */ \"a/b.h\"\n#include MACRO\n\
             #if defined(__has_include) && __has_include ( <x.h> ) || __has_inc\\\nlude(\"y.h\")\n\
             #include_next <n.h>\n#include \"../up.h\"\n#if __has_embed(\"e.bin\" limit(1))\n\
             #define NAME \"named.h\"\n#define SUM(a) <b>\n",
        );
        assert_eq!(probed, ["../up.h", "e.bin", "n.h", "x.h", "y.h"]);
        assert_eq!(included, ["a/b.h", "named.h", "stdio.h"]);
    }

    #[test]
    fn computed_names_stand_for_any() {
        assert_eq!(scan("#if __has_include(NAME)").0, [ANY]);
        assert_eq!(scan("#define HAS(x) __has_include_next(x)").0, [ANY]);
        assert_eq!(scan("#include_next NAME").0, [ANY]);
        assert_eq!(scan("#ifdef __has_include\n#include NAME").0, [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r#"(#|include|__has_include|__has_embed|\(|"|<|>|a|\\|/\*|\n| ){0,30}"#) {
            scan(&text);
        }
    }
}
