//! Standards, warnings, macros and arguments, and what the compiler is given for them.

use super::arguments;
use crate::{diagnostic::Located, plan::Language, table::Fields};

/// What becomes traced arguments of the compiler.
#[derive(Debug, Clone, Default)]
pub(super) struct Flags {
    /// `-std=` of C sources.
    c_std: Option<Located<String>>,
    /// `-std=` of C++ sources.
    cxx_std: Option<Located<String>>,
    /// Warnings, without `-W`.
    warnings: Vec<Located<String>>,
    /// Macros, without `-D`.
    defines: Vec<Located<String>>,
    /// For sources of all languages.
    trace_args: Vec<Located<String>>,
    c_args: Vec<Located<String>>,
    cxx_args: Vec<Located<String>>,
    asm_args: Vec<Located<String>>,
}

/// Traced arguments of the compiler, by the language of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments([Vec<String>; Language::ALL.len()]);

impl Arguments {
    /// Returns the arguments for a source of `language`, in order.
    pub fn of(&self, language: Language) -> &[String] {
        &self.0[language as usize]
    }

    /// Returns the arguments of all languages.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flatten()
    }

    /// Puts macros that libraries define for their users before everything else, so that whatever a
    /// target says itself counts.
    pub(crate) fn define_before<'d>(&mut self, defines: impl Iterator<Item = &'d str> + Clone) {
        for language in Language::ALL.into_iter().filter(|language| language.is_preprocessed()) {
            let before = defines.clone().map(definition);
            self.0[language as usize].splice(0..0, before);
        }
    }
}

impl Flags {
    pub(super) fn decode(fields: &mut Fields<'_, '_>) -> Self {
        let flags = Self {
            c_std: standard(fields, "c-std", Language::C),
            cxx_std: standard(fields, "cxx-std", Language::Cxx),
            warnings: warnings(fields),
            defines: defines(fields, "defines"),
            trace_args: fields.strings("trace-args").unwrap_or_default(),
            c_args: fields.strings("c-args").unwrap_or_default(),
            cxx_args: fields.strings("cxx-args").unwrap_or_default(),
            asm_args: fields.strings("asm-args").unwrap_or_default(),
        };
        for list in [&flags.trace_args, &flags.c_args, &flags.cxx_args, &flags.asm_args] {
            arguments::check(fields, list);
        }
        flags
    }

    /// The arguments, as they are written.
    pub(super) fn as_written(&self) -> impl Iterator<Item = &Located<String>> {
        let all = [&self.trace_args, &self.c_args, &self.cxx_args, &self.asm_args];
        all.into_iter().flatten()
    }

    /// Leaves out the arguments that are not `wanted`.
    pub(super) fn retain(&mut self, wanted: impl Fn(&Located<String>) -> bool) {
        for list in [&mut self.trace_args, &mut self.c_args, &mut self.cxx_args, &mut self.asm_args]
        {
            list.retain(&wanted);
        }
    }

    /// Arguments for all languages.
    pub(super) fn of_arguments(trace_args: Vec<Located<String>>) -> Self {
        Self { trace_args, ..Self::default() }
    }

    /// Adds what a table says that comes later.
    pub(super) fn append(&mut self, later: Self) {
        self.c_std = later.c_std.or(self.c_std.take());
        self.cxx_std = later.cxx_std.or(self.cxx_std.take());
        self.warnings.extend(later.warnings);
        self.defines.extend(later.defines);
        self.trace_args.extend(later.trace_args);
        self.c_args.extend(later.c_args);
        self.cxx_args.extend(later.cxx_args);
        self.asm_args.extend(later.asm_args);
    }

    /// What the compiler is given, where `public` is defined for users too. What `profile` says comes after
    /// all of its kind, and its arguments after all others.
    pub(super) fn arguments(&self, public: &[Located<String>], profile: &Self) -> Arguments {
        Arguments(Language::ALL.map(|language| {
            let mut found = Vec::new();
            let standard = profile.standard(language).or_else(|| self.standard(language));
            found.extend(standard.map(|standard| format!("-std={}", **standard)));
            if matches!(language, Language::C | Language::Cxx) {
                let warnings = self.warnings.iter().chain(&profile.warnings);
                found.extend(warnings.map(|warning| format!("-W{}", **warning)));
            }
            if language.is_preprocessed() {
                let defines = public.iter().chain(&self.defines).chain(&profile.defines);
                found.extend(defines.map(|define| definition(define)));
            }
            let arguments = self.written(language).chain(profile.written(language));
            found.extend(arguments.map(|argument| argument.value.clone()));
            found
        }))
    }

    fn standard(&self, language: Language) -> Option<&Located<String>> {
        match language {
            Language::C => self.c_std.as_ref(),
            Language::Cxx => self.cxx_std.as_ref(),
            Language::Assembly | Language::Plain | Language::Asm => None,
        }
    }

    /// The arguments that are written out.
    fn written(&self, language: Language) -> impl Iterator<Item = &Located<String>> {
        let own = match language {
            Language::C => &self.c_args,
            Language::Cxx => &self.cxx_args,
            Language::Assembly | Language::Plain | Language::Asm => &self.asm_args,
        };
        // Those for all languages are a compiler's.
        let of_all = if language == Language::Asm { &[][..] } else { &self.trace_args };
        of_all.iter().chain(own)
    }
}

fn definition(define: &str) -> String {
    format!("-D{define}")
}

/// A key for the standard of a language.
fn standard(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    language: Language,
) -> Option<Located<String>> {
    let standard = fields.string(key)?;
    let of = match standard.as_str() {
        text if text.contains("++") => Some(Language::Cxx),
        text if ["c", "gnu", "iso9899:"].iter().any(|start| text.starts_with(start)) => {
            Some(Language::C)
        }
        _ => None,
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+:".contains(c);
    if of == Some(language) && standard.chars().all(is_word) {
        return Some(standard);
    }
    let (name, example) = match language {
        Language::Cxx => ("C++", "write \"c++17\" or \"gnu++17\""),
        _ => ("C", "write \"c11\" or \"gnu11\""),
    };
    let help = match of {
        Some(Language::Cxx) => "`cxx-std` is for C++",
        Some(_) if language == Language::Cxx => "`c-std` is for C",
        _ => example,
    };
    let message = format!("`{}` is no standard of {name}", *standard);
    fields.errors.push(standard.span, message, Some(help.to_owned()));
    None
}

/// The key `warnings`: what follows `-W`.
fn warnings(fields: &mut Fields<'_, '_>) -> Vec<Located<String>> {
    let mut warnings = fields.strings("warnings").unwrap_or_default();
    warnings.retain(|warning| {
        let is_word = warning.starts_with(|c: char| c.is_ascii_lowercase())
            && warning.chars().all(|c| c.is_ascii_alphanumeric() || "-+=_".contains(c));
        if !is_word {
            let help = match warning.strip_prefix("-W") {
                Some(rest) if !rest.is_empty() => format!("leave out the -W: \"{rest}\""),
                _ => "write what follows -W: \"all\", \"no-unused-parameter\", \"error\"; other arguments are `trace-args`".to_owned(),
            };
            let message = format!("`{}` is no warning", **warning);
            fields.errors.push(warning.span.clone(), message, Some(help));
        }
        is_word
    });
    warnings
}

/// A key for macros: what follows `-D`.
pub(super) fn defines(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<Located<String>> {
    let mut defines = fields.strings(key).unwrap_or_default();
    defines.retain(|define| {
        let name = define.split(['=', '(']).next().unwrap_or_default();
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
        if !is_name {
            let help = match define.strip_prefix("-D") {
                Some(rest) if !rest.is_empty() => format!("leave out the -D: \"{rest}\""),
                _ => "write \"NAME\" or \"NAME=VALUE\"".to_owned(),
            };
            let message = format!("`{}` defines no macro", **define);
            fields.errors.push(define.span.clone(), message, Some(help));
        }
        is_name
    });
    defines
}
