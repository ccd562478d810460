//! `[options]`: what whoever builds a package may choose.

use std::{collections::BTreeMap, fmt};

use toml::{Spanned, de::DeValue};

use crate::{diagnostic::suggest, name::is_name, table::Fields};

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptionValue {
    /// On or off.
    Switch(bool),
    /// A word.
    Word(String),
}

/// An option of a package.
#[derive(Debug, Clone)]
pub struct OptionDeclaration {
    /// Its value where nobody chooses another.
    pub default: OptionValue,
    /// The words that it may be; any, when absent.
    choices: Option<Vec<String>>,
    /// What it is for.
    help: Option<String>,
}

/// The options of a package, by name.
#[derive(Debug, Clone, Default)]
pub struct Options(pub(super) BTreeMap<String, OptionDeclaration>);

impl OptionValue {
    /// A value in a manifest: `true`, `false` or a string.
    pub(super) fn decode(fields: &mut Fields<'_, '_>, value: Spanned<DeValue<'_>>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(switch) => Some(Self::Switch(*switch)),
            DeValue::String(_) => fields.expect_string(value).map(|word| Self::Word(word.value)),
            _ => {
                fields.wrong(&value, "true, false or a string");
                None
            }
        }
    }
}

impl OptionDeclaration {
    /// Makes sure that the option can have this value.
    ///
    /// # Errors
    /// The values that it can have.
    pub(crate) fn check(&self, value: &OptionValue) -> Result<(), String> {
        let fits = match (&self.default, value) {
            (OptionValue::Switch(_), OptionValue::Switch(_)) => true,
            (OptionValue::Word(_), OptionValue::Word(word)) => {
                self.choices.as_ref().is_none_or(|choices| choices.contains(word))
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(format!("it is {}", self.values())) }
    }

    /// The value that `text` is on a command line.
    ///
    /// # Errors
    /// The values that it can have.
    pub(crate) fn parse(&self, text: &str) -> Result<OptionValue, String> {
        let value = match (&self.default, text) {
            (OptionValue::Switch(_), "true") => OptionValue::Switch(true),
            (OptionValue::Switch(_), "false") => OptionValue::Switch(false),
            _ => OptionValue::Word(text.to_owned()),
        };
        self.check(&value).map(|()| value)
    }

    fn values(&self) -> String {
        let values = match (&self.default, &self.choices) {
            (OptionValue::Switch(_), _) => "true or false".to_owned(),
            (OptionValue::Word(_), Some(choices)) => choices.join(" or "),
            (OptionValue::Word(_), None) => "a word".to_owned(),
        };
        match &self.help {
            Some(help) => format!("{values}: {help}"),
            None => values,
        }
    }
}

impl Options {
    /// The option called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&OptionDeclaration> {
        self.0.get(name)
    }

    /// The message and the advice for a name that no option has.
    pub(crate) fn unknown(&self, name: &str) -> (String, String) {
        let names = self.0.keys().map(String::as_str);
        let help = match suggest(name, names.clone()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if self.0.is_empty() => "the package has no [options]".to_owned(),
            None => {
                let all: Vec<String> = self
                    .0
                    .iter()
                    .map(|(name, option)| format!("`{name}` ({})", option.values()))
                    .collect();
                format!("the options are {}", all.join(", "))
            }
        };
        (format!("there is no option `{name}`"), help)
    }

    /// The values where nobody chooses others.
    pub(crate) fn defaults(&self) -> BTreeMap<String, OptionValue> {
        self.0.iter().map(|(name, option)| (name.clone(), option.default.clone())).collect()
    }
}

/// `[options]`
pub(super) fn options(mut fields: Fields<'_, '_>) -> Options {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let (span, name) = (name.span(), name.into_inner().into_owned());
        if !is_name(&name) {
            fields.errors.push(span, format!("`{name}` cannot name an option"), None);
            continue;
        }
        let option = match value.get_ref() {
            DeValue::Table(_) => {
                let span = value.span();
                let DeValue::Table(table) = value.into_inner() else { continue };
                option(Fields::new(fields.errors, &format!("option `{name}`"), span, table))
            }
            DeValue::Array(_) => {
                let table = "{ default = \"…\", choices = [\"…\", \"…\"] }";
                fields.wrong(&value, &format!("true, false, a string, or {table}"));
                None
            }
            _ => OptionValue::decode(&mut fields, value).map(|default| OptionDeclaration {
                default,
                choices: None,
                help: None,
            }),
        };
        if let Some(option) = option {
            found.insert(name, option);
        }
    }
    Options(found)
}

fn option(mut fields: Fields<'_, '_>) -> Option<OptionDeclaration> {
    let default = match fields.take("default") {
        Some(value) => {
            let span = value.span();
            OptionValue::decode(&mut fields, value).map(|value| (value, span))
        }
        None => {
            let message = format!("{} has no default", fields.what);
            let help = "add default = …, which counts where nobody chooses".to_owned();
            fields.errors.push(fields.span.clone(), message, Some(help));
            None
        }
    };
    let choices = fields.strings("choices");
    let choices = choices.map(|words| words.into_iter().map(|word| word.value).collect());
    let help = fields.string("help").map(|help| help.value);
    let option =
        default.map(|(default, span)| (OptionDeclaration { default, choices, help }, span));
    if let Some((option, span)) = &option
        && let Err(wrong) = option.check(&option.default)
    {
        let message = format!("the default of {} is none of its choices", fields.what);
        fields.errors.push(span.clone(), message, Some(wrong));
    }
    if let Some((option, _)) = &option
        && let (OptionValue::Switch(_), Some(_)) = (&option.default, &option.choices)
    {
        let message = format!("{} is true or false, and has no `choices`", fields.what);
        fields.errors.push(fields.span.clone(), message, None);
    }
    fields.finish();
    option.map(|(option, _)| option)
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(switch) => write!(f, "{switch}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}
