//! Objects of one target that another one is linked from as well: `extract_objects` of Meson.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use larder_project::{
    init::{Kind, Package, inside},
    plan::Language,
};

/// Gives targets what `ninja`, the text of a `build.ninja` in `build`, links them from besides their own objects. All
/// objects of a static library are taken as that library, as a whole; of others, the sources are compiled again. `names` has
/// the targets by the paths of their files.
pub fn taken(
    package: &mut Package,
    ninja: &str,
    directory: &Path,
    build: &Path,
    names: &BTreeMap<String, String>,
) {
    let edges = Edges::read(ninja, directory, build, names);
    for (taker, objects) in &edges.links {
        let mut by_owner: BTreeMap<&str, Vec<&Object<'_>>> = BTreeMap::new();
        for object in objects.iter().filter_map(|object| edges.objects.get(*object)) {
            if object.owner != *taker {
                by_owner.entry(object.owner).or_default().push(object);
            }
        }
        let mut whole = Vec::new();
        for (owner, objects) in by_owner {
            let all = edges.objects.values().filter(|it| it.owner == owner).count();
            let is_static = |name: &str| {
                package.targets.iter().any(|it| it.name == name && it.kind == Kind::Static)
            };
            match is_static(owner) && !is_static(taker) && objects.len() == all {
                true => whole.push(owner),
                false => compile_again(package, taker, owner, &objects),
            }
        }
        link_whole(package, taker, &whole);
    }
}

/// An object: whose it is, and its source.
struct Object<'a> {
    owner: &'a str,
    source: String,
}

/// What `build.ninja` makes objects and files from.
struct Edges<'a> {
    /// The objects by their paths.
    objects: BTreeMap<&'a str, Object<'a>>,
    /// The inputs of the links by the names of their targets.
    links: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> Edges<'a> {
    fn read(
        ninja: &'a str,
        directory: &Path,
        build: &Path,
        names: &'a BTreeMap<String, String>,
    ) -> Self {
        let name = |file: &str| names.get(&*build.join(file).to_string_lossy()).map(String::as_str);
        let mut found = Self { objects: BTreeMap::new(), links: Vec::new() };
        for line in ninja.lines() {
            let edge = line.strip_prefix("build ").and_then(|rest| rest.split_once(": "));
            let Some((output, rest)) = edge else { continue };
            let mut words = rest.split(' ').take_while(|word| !word.starts_with('|'));
            let rule = words.next().unwrap_or_default();
            if rule.ends_with("_LINKER") {
                found.links.extend(name(output).map(|name| (name, words.collect())));
                continue;
            }
            // What is made for a target lies in a directory of its own.
            let owner = output.split_once(".p/").and_then(|(owner, _)| name(owner));
            let is_source = |word: &&str| Language::of(word).is_some() || Language::is_asm(word);
            let source = words.find(is_source).and_then(|word| inside(word, build, directory));
            if let (Some(owner), Some(source)) = (owner, source) {
                found.objects.insert(output, Object { owner, source });
            }
        }
        found
    }
}

/// Has `taker` compile the sources of `objects`, as `owner` does.
fn compile_again(package: &mut Package, taker: &str, owner: &str, objects: &[&Object<'_>]) {
    let flags = package.targets.iter().find(|it| it.name == owner).map(|it| it.flags.clone());
    let target = package.targets.iter_mut().find(|it| it.name == taker);
    let (Some(flags), Some(target)) = (flags, target) else { return };
    target.flags.merge(&flags);
    let known: BTreeSet<String> = target.sources.iter().cloned().collect();
    let mut twice = Vec::new();
    for Object { source, .. } in objects {
        match known.contains(source) {
            true => twice.push(source.clone()),
            false => target.sources.push(source.clone()),
        }
    }
    package.cautions.push(format!(
        "{taker} compiles sources of {owner} again, with the arguments of both, since Meson links objects of {owner} into it."
    ));
    for source in twice {
        package.leave_out(
            format!("{source} of {owner} in {taker}"),
            "a target compiles a source once",
        );
    }
}

/// Links `taker` with all objects of static libraries.
fn link_whole(package: &mut Package, taker: &str, libraries: &[&str]) {
    let Some(target) = package.targets.iter_mut().find(|it| it.name == taker) else { return };
    if libraries.is_empty() {
        return;
    }
    let mut words = vec!["-Wl,--whole-archive".to_owned()];
    words.extend(libraries.iter().map(|name| format!("{{{name}}}")));
    words.push("-Wl,--no-whole-archive".to_owned());
    // Libraries of the system come after what needs them.
    if target.kind != Kind::Shared {
        words.append(&mut target.link_args);
        target.link_args = words;
        return;
    }
    target.private_link_args = words;
    for owner in package.targets.iter_mut().filter(|it| libraries.contains(&&*it.name)) {
        for list in [&mut owner.flags.c_args, &mut owner.flags.cxx_args] {
            if !list.iter().any(|it| it == "-fPIC") {
                list.push("-fPIC".to_owned());
            }
        }
    }
}
