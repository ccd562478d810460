//! `[[config]]`: a file made from what the compiler answers, from values, and from a template.

mod decode;

use std::collections::BTreeMap;

pub(super) use decode::config;

use super::{Compiled, Input, Template};
use crate::{diagnostic::Located, path::BuildPath};

/// `[[config]]`
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it makes, in the build directory.
    pub output: Located<BuildPath>,
    /// The text that answers and values are put into; a header with all of them, when absent.
    pub template: Option<Input>,
    /// What stands for something in the template.
    pub syntax: TemplateSyntax,
    /// Whether `${NAME}` stands for a value too; as the syntax has it, when absent.
    pub braces: Option<bool>,
    /// What is asked of the compiler, in the manifest's order.
    pub checks: Vec<Check>,
    /// What the manifest says itself, by name.
    pub values: BTreeMap<String, Value>,
    /// Whether checks are C++.
    pub cxx: bool,
    /// Its name, and how checks are compiled and linked: as a target without sources.
    pub compiled: Compiled,
}

/// The notation of a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TemplateSyntax {
    /// As the template's lines show.
    #[default]
    Recognised,
    /// `#cmakedefine`.
    CMake,
    /// `#undef`.
    Autoconf,
    /// `#mesondefine`.
    Meson,
}

/// Something that is put into a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Defined as 1, or not defined.
    Boolean(bool),
    /// A number.
    Number(i64),
    /// A text, as it is.
    Text(String),
}

/// A question to the compiler.
#[derive(Debug, Clone)]
pub struct Check {
    /// The name that the answer gets.
    pub define: Located<String>,
    /// The question.
    pub question: Question,
    /// Headers that are included first; usual ones that are there, when absent.
    pub headers: Option<Vec<Located<String>>>,
    /// More arguments for the linker.
    pub link_args: Vec<Located<String>>,
}

/// What a [`Check`] asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether a header can be included.
    Header(String),
    /// Whether a function can be called and linked.
    Function(String),
    /// Whether there is a type.
    Type(String),
    /// How large a type is, in bytes.
    Size(String),
    /// Whether a macro, constant, variable or function is declared.
    Symbol {
        /// Its name.
        name: String,
        /// Whether no is 0, as `HAVE_DECL_…` has it, rather than not defined.
        zero: bool,
    },
    /// Whether a program compiles.
    Program {
        /// The program.
        source: Program,
        /// Whether it must link as well.
        link: bool,
    },
}

/// The text of a program that is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A file of the package.
    File(Located<String>),
    /// The text itself.
    Code(String),
}

impl Question {
    /// Whether the answer needs the linker.
    pub fn links(&self) -> bool {
        matches!(self, Self::Function(_) | Self::Program { link: true, .. })
    }
}

/// Returns the name of a macro that says something of `what`: `HAVE_SYS_EPOLL_H`, `SIZEOF_VOID_P`.
pub(crate) fn macro_name(prefix: &str, what: &str) -> String {
    let character = |c: char| match c {
        '*' => 'P',
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    prefix.chars().chain(what.chars().map(character)).collect()
}

/// Whether `name` can be that of a macro.
pub(crate) fn is_macro(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_macros() {
        for (what, name) in [
            ("unistd.h", "HAVE_UNISTD_H"),
            ("sys/epoll.h", "HAVE_SYS_EPOLL_H"),
            ("struct stat64", "HAVE_STRUCT_STAT64"),
            ("void *", "HAVE_VOID_P"),
            ("std::string", "HAVE_STD__STRING"),
        ] {
            assert_eq!(macro_name("HAVE_", what), name);
            assert!(is_macro(name));
        }
        for name in ["", "1A", "A-B", "A B", "é"] {
            assert!(!is_macro(name), "{name}");
        }
    }
}
