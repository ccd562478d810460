//! `[recipe.NAME]`: how source trees of one kind are built, so that their packages need not repeat it.

use std::collections::BTreeMap;

use super::entry::EntryRecipe;
use crate::{
    diagnostic::{Located, suggest},
    name::is_name,
    table::Fields,
};

/// Lines that packages share, each list a script for `sh -e`.
#[derive(Debug, Default)]
pub(super) struct Shared {
    build: Vec<String>,
    test: Vec<String>,
    docs: Vec<String>,
}

/// All recipes, by name.
pub(super) type Recipes = BTreeMap<String, Shared>;

/// What stands for the options of a package.
const OPTIONS: &str = "{options}";

/// `[recipe]`
pub(super) fn recipes(mut fields: Fields<'_, '_>) -> Recipes {
    let found = fields.for_each_table("[recipe]", |name, mut fields| {
        if !is_name(&name) {
            let message = format!("`{}` cannot name a recipe", *name);
            let help = "names are letters, digits, `_`, `-`, `+` and `.`, starting with a letter or digit";
            fields.errors.push(name.span, message, Some(help.to_owned()));
            return None;
        }
        fields.what = format!("[recipe.{}]", *name);
        let is_list =
            fields.entries.get("build").is_none_or(|build| build.get_ref().is_array());
        let shared = Shared {
            build: fields.plain_strings("build"),
            test: fields.plain_strings("test"),
            docs: fields.plain_strings("docs"),
        };
        if is_list && shared.build.iter().all(|line| line.trim().is_empty()) {
            let message = format!("{} has nothing in `build`", fields.what);
            let help = "add the commands, such as build = [\"./configure --prefix={prefix} {options}\", \"make install\"]";
            fields.errors.push(name.span, message, Some(help.to_owned()));
        }
        fields.finish();
        Some((name.value, shared))
    });
    found.into_iter().collect()
}

/// The keys `recipe` and `options`, with `test` and `docs` in the place of those of the recipe. The lines of `docs` come second.
pub(super) fn of_package(
    fields: &mut Fields<'_, '_>,
    recipes: &Recipes,
) -> Option<(EntryRecipe, Vec<String>)> {
    let dependencies = fields.table("dependencies").map(super::entry::requirements);
    let place = fields.entries.get("options").map(|value| value.span());
    let options = fields.strings("options").unwrap_or_default();
    let mut own =
        |key: &'static str| fields.entries.contains_key(key).then(|| fields.plain_strings(key));
    let (test, docs) = (own("test"), own("docs"));
    let name = fields.string("recipe")?;
    let Some(shared) = recipes.get(&name.value) else {
        unknown(fields, name, recipes);
        return None;
    };
    let mut all = shared.build.iter().chain(&shared.test).chain(&shared.docs);
    if let Some(place) = place.filter(|_| !all.any(|line| line.contains(OPTIONS))) {
        let message = format!("the recipe `{}` takes no options", *name);
        let help = format!("write {OPTIONS} where they stand in its lines");
        fields.errors.push(place, message, Some(help));
    }
    let options: Vec<&str> = options.iter().map(|option| option.as_str()).collect();
    let options = options.join(" ");
    let with = |lines: &[String]| lines.iter().map(|line| with_options(line, &options)).collect();
    let recipe = EntryRecipe::Commands {
        dependencies: dependencies.unwrap_or_default(),
        build: with(&shared.build),
        test: test.unwrap_or_else(|| with(&shared.test)),
    };
    Some((recipe, docs.unwrap_or_else(|| with(&shared.docs))))
}

fn unknown(fields: &mut Fields<'_, '_>, name: Located<String>, recipes: &Recipes) {
    let known = || recipes.keys().map(String::as_str);
    let help = match suggest(&name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if recipes.is_empty() => format!("add [recipe.{}] with build = [\"…\"]", *name),
        None => format!("the recipes of the set are {}", known().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("the set has no recipe `{}`", *name);
    fields.errors.push(name.span, message, Some(help));
}

/// A line with the options of a package in it. `${options}` is a variable of the shell.
fn with_options(line: &str, options: &str) -> String {
    let mut parts = line.split(OPTIONS);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        made.push_str(if made.ends_with('$') { OPTIONS } else { options });
        made.push_str(part);
    }
    made.truncate(made.trim_end().len());
    made
}
