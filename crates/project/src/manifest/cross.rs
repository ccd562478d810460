//! `[target.TRIPLE]`: the tools for another machine, of a manifest or of a user's configuration.

use std::path::Path;

use super::{read_text, refused_argument, refused_link_argument};
use crate::{
    diagnostic::{Diagnostics, Located, SourceText},
    table::{Errors, Fields, parse},
    triple::Triple,
};

/// The tools of all machines that something is declared of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolchains(Vec<(Triple, CrossToolchain)>);

/// What is declared of the tools for one machine. Paths are relative to the root package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrossToolchain {
    /// The C compiler: a name on `PATH`, or a path.
    pub cc: Option<String>,
    /// The C++ compiler.
    pub cxx: Option<String>,
    /// The archiver.
    pub ar: Option<String>,
    /// Arguments of the compilers in each call, compiling and linking, traced.
    pub trace_args: Option<Vec<String>>,
    /// Arguments for linking, traced.
    pub link_args: Option<Vec<String>>,
    /// The directory that stands for the machine's `/`.
    pub sysroot: Option<String>,
    /// More programs and files that the tools consist of, traced by content.
    pub parts: Option<Vec<String>>,
    /// The program that runs those of the machine, and its first arguments.
    pub runner: Option<Vec<String>>,
    /// The program that knows the machine's libraries.
    pub pkg_config: Option<String>,
    /// The directories in which it looks for them.
    pub pkg_config_libdir: Option<Vec<String>>,
}

/// Where a table stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Manifest,
    Configuration,
}

impl Toolchains {
    /// Reads the tables of a user's configuration at `path`; none where there is no such file. What else the
    /// configuration says is for others to read.
    ///
    /// # Errors
    /// Everything wrong with them.
    pub fn configured(path: &Path) -> Result<Self, Diagnostics> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let source = read_text(path.to_owned())?;
        Self::parse(&source)
    }

    fn parse(source: &SourceText) -> Result<Self, Diagnostics> {
        let text = source.text.clone();
        let parsed = parse(&text, source)?;
        let mut errors = Errors::new(source);
        let span = parsed.span();
        let mut top = Fields::new(&mut errors, "the configuration", span, parsed.into_inner());
        let found = top.table("target").map(|fields| tables(fields, Place::Configuration));
        if errors.found.is_empty() {
            Ok(found.unwrap_or_default())
        } else {
            Err(Diagnostics(errors.found))
        }
    }

    /// Returns what is declared of the tools for `triple`, however that is spelled.
    pub fn get(&self, triple: &Triple) -> Option<&CrossToolchain> {
        self.0.iter().find(|(known, _)| known == triple).map(|(_, toolchain)| toolchain)
    }
}

impl CrossToolchain {
    /// Returns the same with the keys of `other` in the place of those that both have.
    #[must_use]
    pub fn overruled_by(self, other: Self) -> Self {
        Self {
            cc: other.cc.or(self.cc),
            cxx: other.cxx.or(self.cxx),
            ar: other.ar.or(self.ar),
            trace_args: other.trace_args.or(self.trace_args),
            link_args: other.link_args.or(self.link_args),
            sysroot: other.sysroot.or(self.sysroot),
            parts: other.parts.or(self.parts),
            runner: other.runner.or(self.runner),
            pkg_config: other.pkg_config.or(self.pkg_config),
            pkg_config_libdir: other.pkg_config_libdir.or(self.pkg_config_libdir),
        }
    }
}

/// `[target.TRIPLE]` of a manifest.
pub(super) fn toolchains(fields: Fields<'_, '_>) -> Toolchains {
    tables(fields, Place::Manifest)
}

fn tables(mut fields: Fields<'_, '_>, place: Place) -> Toolchains {
    let mut seen: Vec<Triple> = Vec::new();
    let found = fields.for_each_table("target", |name, mut fields| {
        fields.what = format!("target `{}`", *name);
        let toolchain = toolchain(&mut fields, place);
        let span = name.span.clone();
        let triple = match name.parse::<Triple>() {
            Ok(triple) => Some(triple),
            Err(wrong) => {
                fields.errors.push(span.clone(), wrong, None);
                None
            }
        };
        if let Some(known) = seen.iter().find(|known| triple.as_ref() == Some(*known)) {
            let message = format!("`{}` is `{known}`, which has a table already", *name);
            fields.errors.push(span, message, None);
        }
        seen.extend(triple.clone());
        fields.finish();
        triple.map(|triple| (triple, toolchain))
    });
    Toolchains(found)
}

fn toolchain(fields: &mut Fields<'_, '_>, place: Place) -> CrossToolchain {
    let mut tool = |key, always| {
        let text = fields.string(key)?;
        check(fields, &text, place, always);
        Some(text.value)
    };
    let (cc, cxx, ar) = (tool("cc", false), tool("cxx", false), tool("ar", false));
    let (sysroot, pkg_config) = (tool("sysroot", true), tool("pkg-config", false));
    let mut list = |key, always| {
        let texts = fields.strings(key)?;
        texts.iter().for_each(|text| check(fields, text, place, always));
        Some(plain(texts))
    };
    let (parts, pkg_config_libdir) = (list("parts", false), list("pkg-config-libdir", true));
    CrossToolchain {
        cc,
        cxx,
        ar,
        trace_args: arguments(fields, "trace-args", "compiler", refused_argument),
        link_args: arguments(fields, "link-args", "linker", refused_link_argument),
        sysroot,
        parts,
        runner: runner(fields, place),
        pkg_config,
        pkg_config_libdir,
    }
}

/// Says what is wrong with a name on `PATH` or a path; it is `always` a path, or where there is a `/` in it.
fn check(fields: &mut Fields<'_, '_>, text: &Located<String>, place: Place, always: bool) {
    let is_relative = (always || text.contains('/')) && !text.starts_with('/');
    let wrong = match text.is_empty() {
        true => "an empty name".to_owned(),
        false if is_relative && place == Place::Configuration => {
            format!("`{}` starts in no package", **text)
        }
        false => return,
    };
    let help =
        if always { "write an absolute path" } else { "write a name on PATH or an absolute path" };
    fields.errors.push(text.span.clone(), wrong, Some(help.to_owned()));
}

fn arguments(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    of: &str,
    refused: impl Fn(&str) -> Option<&'static str>,
) -> Option<Vec<String>> {
    let texts = fields.strings(key)?;
    for text in &texts {
        if let Some(reason) = refused(text) {
            let message = format!("`{}` cannot be a {of} argument here", **text);
            fields.errors.push(text.span.clone(), message, Some(reason.to_owned()));
        }
    }
    Some(plain(texts))
}

fn runner(fields: &mut Fields<'_, '_>, place: Place) -> Option<Vec<String>> {
    let span = fields.entries.get("runner").map(|value| value.span());
    let words = fields.strings("runner")?;
    match words.first() {
        Some(program) if !program.is_empty() => check(fields, program, place, false),
        _ => {
            let help = "write runner = [\"PROGRAM\", \"ARGUMENT\", …], or leave it out".to_owned();
            fields.errors.push(span.unwrap_or_default(), "`runner` names no program", Some(help));
        }
    }
    Some(plain(words))
}

fn plain(texts: Vec<Located<String>>) -> Vec<String> {
    texts.into_iter().map(|text| text.value).collect()
}
