//! From TOML to [`Config`].

use std::collections::HashSet;

use toml::de::DeValue;

use super::{
    Check, Config, Input, Program, Question, Template, TemplateSyntax, Value, is_macro, macro_name,
};
use crate::{
    diagnostic::Located,
    manifest::{
        Arguments, Compiled, Lists,
        condition::{Condition, Names},
        document::{Part, Written},
        keys::{Cases, Keys},
    },
    path::BuildPath,
    table::Fields,
};

/// A table `[[config]]`.
pub(in crate::manifest) fn config(
    mut fields: Fields<'_, '_>,
    names: &Names<'_>,
) -> Option<Part<Written<Config>>> {
    let name = fields.name()?;
    fields.what = format!("config `{}`", *name);
    let when = Condition::when(&mut fields, names);
    let output = output(&mut fields);
    let template = fields.string("template");
    let template = template.map(|path| Input {
        path: Located { value: Template::parse(&path), span: path.span },
        text: false,
    });
    let syntax = syntax(&mut fields);
    let braces = fields.boolean("braces");
    let checks = checks(&mut fields);
    let values = fields.table("values").map(values).unwrap_or_default();
    let cxx = language(&mut fields);
    let keys = Keys::of_config(&mut fields);
    let keys = Cases::decode(keys, &mut fields, names, Keys::of_config);
    if template.is_none() {
        let span = fields.span.clone();
        if syntax.is_some() || braces.is_some() {
            let help = "add template = \"FILE\"".to_owned();
            let message = format!("{} has no template to read", fields.what);
            fields.errors.push(span, message, Some(help));
        } else if checks.is_empty() && values.is_empty() {
            let help = "add checks, such as headers = [\"unistd.h\"], values, or a template";
            let message = format!("{} has nothing to say", fields.what);
            fields.errors.push(span, message, Some(help.to_owned()));
        }
    }
    fields.finish();
    let compiled = Compiled { name, lists: Lists::default(), arguments: Arguments::default() };
    let target = Config {
        output: output?,
        template,
        syntax: syntax.unwrap_or_default(),
        braces,
        checks,
        values: values.into_iter().map(|(name, value)| (name.value, value)).collect(),
        cxx,
        compiled,
    };
    Some(Part { when, of: Written { target, keys } })
}

fn output(fields: &mut Fields<'_, '_>) -> Option<Located<BuildPath>> {
    let text = fields.required("output")?;
    let is_plain = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    match BuildPath::new(&text) {
        Ok(value) if is_plain => Some(Located { value, span: text.span }),
        _ => {
            let message = format!("the output `{}` is no file below the build directory", *text);
            let help = "write a path such as \"config.h\", without `.` and `..`";
            fields.errors.push(text.span, message, Some(help.to_owned()));
            None
        }
    }
}

fn syntax(fields: &mut Fields<'_, '_>) -> Option<TemplateSyntax> {
    let name = fields.string("template-syntax")?;
    Some(match name.as_str() {
        "cmake" => TemplateSyntax::CMake,
        "autoconf" => TemplateSyntax::Autoconf,
        "meson" => TemplateSyntax::Meson,
        other => {
            let help = "it is \"cmake\" (#cmakedefine), \"autoconf\" (#undef) or \"meson\" (#mesondefine); without it, the template's lines tell";
            let message = format!("`{other}` is no syntax of templates");
            fields.errors.push(name.span, message, Some(help.to_owned()));
            TemplateSyntax::Recognised
        }
    })
}

/// Whether checks are C++.
fn language(fields: &mut Fields<'_, '_>) -> bool {
    let Some(language) = fields.string("language") else { return false };
    if !matches!(language.as_str(), "c" | "c++") {
        let message = format!("checks are not compiled as `{}`", *language);
        let help = "the languages are \"c\" and \"c++\"".to_owned();
        fields.errors.push(language.span.clone(), message, Some(help));
    }
    *language == "c++"
}

fn values(mut fields: Fields<'_, '_>) -> Vec<(Located<String>, Value)> {
    let mut found = Vec::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let name = Located { span: name.span(), value: name.into_inner().into_owned() };
        if !is_macro(&name) {
            bad_name(&mut fields, &name);
            continue;
        }
        let value = match value.get_ref() {
            DeValue::Boolean(boolean) => Some(Value::Boolean(*boolean)),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                if parsed.is_none() {
                    fields.errors.push(value.span(), "this number is too large", None);
                }
                parsed.map(Value::Number)
            }
            DeValue::String(text) if text.contains(['\n', '\r']) => {
                fields.errors.push(value.span(), "a value is one line", None);
                None
            }
            DeValue::String(_) => fields.expect_string(value).map(|text| Value::Text(text.value)),
            _ => {
                fields.wrong(&value, "a string, a number, true or false");
                None
            }
        };
        found.extend(value.map(|value| (name, value)));
    }
    found
}

fn bad_name(fields: &mut Fields<'_, '_>, name: &Located<String>) {
    let message = format!("`{}` cannot be the name of a macro", **name);
    let help = "names are letters, digits and `_`, and do not begin with a digit".to_owned();
    fields.errors.push(name.span.clone(), message, Some(help));
}

/// All checks; no two give one name an answer.
fn checks(fields: &mut Fields<'_, '_>) -> Vec<Check> {
    let mut found = Vec::new();
    for kind in [Kind::Header, Kind::Function, Kind::Type, Kind::Size, Kind::Symbol] {
        found.extend(named(fields, kind));
    }
    found.extend(programs(fields));
    let mut seen = HashSet::new();
    for check in &found {
        if !seen.insert(check.define.value.as_str()) {
            twice(fields, &check.define);
        }
    }
    let valued = fields.entries.get("values").and_then(|values| values.get_ref().as_table());
    let valued: Vec<String> =
        valued.into_iter().flatten().map(|(name, _)| name.get_ref().to_string()).collect();
    for check in found.iter().filter(|check| valued.contains(&check.define.value)) {
        twice(fields, &check.define);
    }
    found
}

fn twice(fields: &mut Fields<'_, '_>, define: &Located<String>) {
    let message = format!("`{}` is said twice in {}", **define, fields.what);
    let help = "give one of them another name: { …, define = \"NAME\" }".to_owned();
    fields.errors.push(define.span.clone(), message, Some(help));
}

/// The kinds of checks that a name is enough for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Header,
    Function,
    Type,
    Size,
    Symbol,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Self::Header => "headers",
            Self::Function => "functions",
            Self::Type => "types",
            Self::Size => "sizes",
            Self::Symbol => "symbols",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Size => "SIZEOF_",
            Self::Symbol => "HAVE_DECL_",
            _ => "HAVE_",
        }
    }

    /// What is wrong with a name of this kind.
    fn refuses(self, name: &str) -> Option<&'static str> {
        let wrong = match self {
            Self::Header => name.contains(['<', '>', '"', '\n', '\r']),
            Self::Function | Self::Symbol => !is_macro(name),
            Self::Type | Self::Size => name.contains(['\n', '\r', ';', '#', '{', '}']),
        };
        (wrong || name.trim().is_empty()).then_some(match self {
            Self::Header => "write a header as in #include <…>, without the brackets",
            Self::Function | Self::Symbol => {
                "names are letters, digits and `_`; for anything else there is `compiles`"
            }
            Self::Type | Self::Size => {
                "write a type as in a declaration; for anything else there is `compiles`"
            }
        })
    }

    fn question(self, name: String, renamed: bool) -> Question {
        match self {
            Self::Header => Question::Header(name),
            Self::Function => Question::Function(name),
            Self::Type => Question::Type(name),
            Self::Size => Question::Size(name),
            Self::Symbol => Question::Symbol { name, zero: !renamed },
        }
    }
}

/// The checks under one key: names, or tables with a name and more.
fn named(fields: &mut Fields<'_, '_>, kind: Kind) -> Vec<Check> {
    let mut found = Vec::new();
    for value in fields.array(kind.key(), "an array of names") {
        let span = value.span();
        let (name, define, headers, link_args) = match value.get_ref() {
            DeValue::Table(_) => {
                let DeValue::Table(table) = value.into_inner() else { continue };
                let what = format!("an entry of `{}`", kind.key());
                let mut inner = Fields::new(fields.errors, &what, span, table);
                let name = inner.required("name");
                let define = inner.string("define");
                let headers = inner.strings("headers");
                let link_args = match kind {
                    Kind::Function => inner.strings("link-args").unwrap_or_default(),
                    _ => Vec::new(),
                };
                inner.finish();
                (name, define, headers, link_args)
            }
            DeValue::String(_) => (fields.expect_string(value), None, None, Vec::new()),
            _ => {
                fields.wrong(&value, "a name or { name = \"…\", define = \"…\" }");
                continue;
            }
        };
        let Some(name) = name else { continue };
        for (name, kind) in std::iter::once((&name, kind))
            .chain(headers.iter().flatten().map(|header| (header, Kind::Header)))
        {
            if let Some(help) = kind.refuses(name) {
                let message = format!("`{}` cannot be checked for", **name);
                fields.errors.push(name.span.clone(), message, Some(help.to_owned()));
            }
        }
        let renamed = define.is_some();
        let define = define.unwrap_or_else(|| Located {
            value: macro_name(kind.prefix(), &name),
            span: name.span.clone(),
        });
        if !is_macro(&define) {
            bad_name(fields, &define);
        }
        let question = kind.question(name.value, renamed);
        found.push(Check { define, question, headers, link_args });
    }
    found
}

/// The key `compiles`: programs.
fn programs(fields: &mut Fields<'_, '_>) -> Vec<Check> {
    let mut found = Vec::new();
    for value in fields.array("compiles", "an array of tables") {
        let span = value.span();
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            fields.wrong(&value, "{ define = \"…\", source = \"FILE\" }");
            continue;
        }
        let DeValue::Table(table) = value.into_inner() else { continue };
        let mut inner = Fields::new(fields.errors, "an entry of `compiles`", span.clone(), table);
        let define = inner.required("define");
        let (file, code) = (inner.string("source"), inner.string("code"));
        let link = inner.boolean("link").unwrap_or(false);
        let link_args = inner.strings("link-args").unwrap_or_default();
        if let Some(first) = link_args.first().filter(|_| !link) {
            let message = "arguments for the linker of what is not linked";
            inner.errors.push(first.span.clone(), message, Some("add link = true".to_owned()));
        }
        let source = match (file, code) {
            (Some(file), None) => Some(Program::File(file)),
            (None, Some(code)) => Some(Program::Code(code.value)),
            _ => {
                let message = "a program is either `source`, a file, or `code`, its text";
                inner.errors.push(span, message, None);
                None
            }
        };
        inner.finish();
        let (Some(define), Some(source)) = (define, source) else { continue };
        if !is_macro(&define) {
            bad_name(fields, &define);
        }
        let question = Question::Program { source, link };
        found.push(Check { define, question, headers: Some(Vec::new()), link_args });
    }
    found
}
