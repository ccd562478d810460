//! Commands of Meson that larder has other means for: the assembler, and the version that Git tells.

use std::{collections::BTreeMap, fs, path::Path};

use larder_project::{
    init::{
        Package,
        config::{Config, Value},
        inside,
    },
    plan::Language,
};
use serde_json::Value as Json;

use crate::init::tools::{list, text};

/// Gives targets the sources that commands in `ninja`, the text of a `build.ninja` in `build`, assemble for them. `names`
/// has the targets by the paths of their files.
pub fn assembled(
    package: &mut Package,
    ninja: &str,
    directory: &Path,
    build: &Path,
    names: &BTreeMap<String, String>,
) {
    let mut edge: Option<(&str, &str)> = None;
    for line in ninja.lines() {
        if let Some(rest) = line.strip_prefix("build ") {
            let (output, inputs) = rest.split_once(": CUSTOM_COMMAND").unwrap_or_default();
            let input = inputs.split(' ').find(|input| Language::is_asm(input));
            edge = input.map(|input| (output, input));
            continue;
        }
        let Some((output, input)) = edge else { continue };
        let Some(command) = line.trim_start().strip_prefix("COMMAND = ") else { continue };
        let words = shlex::split(command).unwrap_or_default();
        let program = words.first().and_then(|word| word.rsplit('/').next()).unwrap_or_default();
        // What is made for a target lies in a directory of its own.
        let owner = output.split_once(".p/").map(|(owner, _)| build.join(owner));
        let owner = owner.and_then(|owner| names.get(&*owner.to_string_lossy()));
        let (Some(owner), Some(source)) = (owner, inside(input, build, directory)) else {
            continue;
        };
        let Some(target) = package.targets.iter_mut().find(|it| it.name == *owner) else {
            continue;
        };
        target.sources.push(source);
        let flags = &mut target.flags;
        let directories = directories(&words).filter_map(|it| inside(it, build, directory));
        let known = [&flags.includes, &flags.private_includes];
        let others = directories.filter(|it| !known.iter().any(|list| list.contains(it)));
        // NASM before 2.14 puts a name right behind it.
        let others: Vec<String> = others.map(|it| format!("-I{it}/")).collect();
        for argument in others.into_iter().chain(arguments(&words, input, output)) {
            if !flags.asm_args.contains(&argument) {
                flags.asm_args.push(argument);
            }
        }
        package.assembler = Some(program.to_owned());
    }
}

/// The directories that an assembler looks in.
fn directories(words: &[String]) -> impl Iterator<Item = &str> {
    let joined = words.iter().filter_map(|word| word.strip_prefix("-I"));
    let after = words.windows(2).filter(|pair| pair[0] == "-I").map(|pair| &*pair[1]);
    joined.filter(|it| !it.is_empty()).chain(after)
}

/// The arguments of an assembler but for its files, its directories, which the target has, and the format, which larder
/// knows.
fn arguments(words: &[String], input: &str, output: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        match &**word {
            "-o" | "-MQ" | "-MT" | "-MF" | "-I" | "-f" => _ = rest.next(),
            "-MD" => {}
            word if word.starts_with("-I") || word.starts_with("-f") => {}
            word if word == input || word == output => {}
            word => kept.push(word.to_owned()),
        }
    }
    kept
}

/// Adds the file that `vcs_tag` makes of a template as a `[[config]]`, with the version that counts where there is no
/// Git. Returns whether `target` is one.
pub fn version_file(package: &mut Package, target: &Json, directory: &Path, build: &Path) -> bool {
    let Some(group) = list(&target["target_sources"]).first() else { return false };
    let words: Vec<&str> = list(&group["compiler"]).iter().map(text).collect();
    let Some(at) = words.iter().position(|word| *word == "vcstagger") else { return false };
    let template = list(&group["sources"]).first().map(text).unwrap_or_default();
    let file = list(&target["filename"]).first().map(text).unwrap_or_default();
    let (Some(fallback), Some(mark)) = (words.get(at + 3), words.get(at + 5)) else { return false };
    let name = mark.strip_prefix('@').and_then(|rest| rest.strip_suffix('@'));
    let template = inside(template, build, directory);
    let output = inside(file, build, build);
    let (Some(name), Some(template), Some(output)) = (name, template, output) else { return false };
    if !fs::read_to_string(directory.join(&template)).is_ok_and(|text| text.contains(mark)) {
        return false;
    }
    package.cautions.push(format!(
        "{output} says {fallback}, as it does without Git; `stamp` of a [[command]] asks Git."
    ));
    let values = [(name.to_owned(), Value::Text((*fallback).to_owned()))].into_iter().collect();
    package.add_config(Config { output, template: Some(template), values, ..Config::default() });
    true
}
