//! Libraries, programs and tests from nothing but sources.

use std::{collections::BTreeMap, path::Path};

use super::{
    describe::{Flags, Kind, Package, Target},
    resolve::{Files, Needs},
    system,
    tree::Tree,
};

/// Describes the package `name` in `directory`, whose files are `tree`: each file that defines `main` is a program
/// or a test, and the rest a library.
pub fn describe(directory: &Path, name: &str, tree: &Tree) -> Package {
    let files = Files::read(directory, tree);
    let mut package = Package {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        from: "the sources".to_owned(),
        left_out: tree.left_out.clone(),
        sources: tree.all_sources.clone(),
        headers: tree.headers.clone(),
        ..Package::default()
    };
    if tree.all_sources.is_empty() && !tree.headers.is_empty() {
        package.targets.push(of_headers(name, tree));
    }
    let (tests, mut rest): (Vec<String>, Vec<String>) =
        tree.sources.iter().cloned().partition(|path| is_test(path));
    for (source, by) in files.needs(&rest).included {
        // One with a header is a unit by itself, whoever includes it besides.
        if let Some(at) = rest.iter().position(|path| *path == source)
            && !files.has_header(&source)
        {
            rest.remove(at);
            package.leave_out(source, format!("{by} includes it"));
        }
    }
    let (mains, rest): (Vec<String>, Vec<String>) =
        rest.into_iter().partition(|path| files.has_main(path));
    let groups = test_groups(&files, tests, &mut package);
    let alone = mains.len() == 1 && groups.is_empty();
    let library = (!rest.is_empty() && !alone)
        .then(|| add_library(&files, &mut package, rest.clone(), &mains));
    for main in mains {
        let name = match alone {
            true => package.name.clone(),
            false => program_name(&main, &package.name),
        };
        let mut sources = vec![main];
        if alone {
            sources.extend(rest.iter().cloned());
            sources.sort();
        }
        add_program(&files, &mut package, name, sources, library.as_deref(), Kind::Program);
    }
    for sources in groups {
        let main = sources.iter().find(|path| files.has_main(path)).unwrap_or(&sources[0]);
        let name = program_name(main, &format!("{}-test", package.name));
        let kind = Kind::Test(Vec::new());
        add_program(&files, &mut package, name, sources, library.as_deref(), kind);
    }
    // A file that one test cannot do with may be part of another.
    let used: Vec<String> = package.targets.iter().flat_map(|it| &it.sources).cloned().collect();
    package.left_out.retain(|it| !used.contains(&it.what));
    package.inherit_includes();
    package
}

/// The library of a package that consists of headers.
fn of_headers(name: &str, tree: &Tree) -> Target {
    let roots = ["include", "inc", "src", "single_include"];
    let is_below = |root: &&str| tree.headers.iter().any(|it| it.starts_with(&format!("{root}/")));
    let root = roots.into_iter().find(is_below);
    let headers = tree.headers.iter();
    let own = headers.filter(|it| root.is_none_or(|root| it.starts_with(&format!("{root}/"))));
    Target {
        name: name.to_owned(),
        kind: Kind::Headers,
        flags: Flags { includes: vec![root.unwrap_or(".").to_owned()], ..Flags::default() },
        headers: own.cloned().collect(),
        ..Target::default()
    }
}

/// Whether a source belongs to tests, by its name and directories.
fn is_test(path: &str) -> bool {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.split('.').next().unwrap_or(file).to_ascii_lowercase();
    let ends = ["_test", "_tests", "_unittest", "-test", "-tests", "_spec"];
    let is_named = stem.starts_with("test_") || stem.starts_with("test-");
    let is_named = is_named || stem == "test" || stem == "tests";
    is_named || ends.iter().any(|end| stem.ends_with(end)) || directory.split('/').any(is_test_root)
}

fn is_test_root(directory: &str) -> bool {
    let name = directory.to_ascii_lowercase();
    matches!(&*name, "test" | "tests" | "testing" | "unittest" | "unittests" | "t" | "check")
}

/// The sources of each test program: a file with `main`, and those without in the same directory of tests.
fn test_groups(files: &Files<'_>, tests: Vec<String>, package: &mut Package) -> Vec<Vec<String>> {
    let root_of = |path: &str| {
        let mut parts: Vec<&str> = path.split('/').collect();
        parts.pop();
        let end = parts.iter().position(|part| is_test_root(part)).map(|at| at + 1);
        parts[..end.unwrap_or(parts.len())].join("/")
    };
    let mut roots: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for path in tests {
        let (mains, others) = roots.entry(root_of(&path)).or_default();
        if files.has_main(&path) { mains.push(path) } else { others.push(path) }
    }
    let mut groups = Vec::new();
    for (mains, mut others) in roots.into_values() {
        let included = files.needs(mains.iter().chain(&others)).included;
        others.retain(|path| !included.contains_key(path));
        if mains.is_empty() {
            let framework = files.needs(&others).framework;
            for path in others {
                let why = match framework {
                    Some((framework, _)) => system::advice(framework),
                    None => {
                        "it looks like part of a test, but no file beside it has a main".to_owned()
                    }
                };
                package.leave_out(path, why);
            }
            continue;
        }
        for main in mains {
            let mut group = vec![main];
            group.extend(others.iter().cloned());
            groups.push(group);
        }
    }
    groups
}

/// The name of a program whose `main` is in `path`.
fn program_name(path: &str, package: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or(path);
    let stem = file.split('.').next().unwrap_or(file);
    if stem != "main" {
        return stem.to_owned();
    }
    let usual = |part: &&&str| {
        !matches!(**part, "src" | "source" | "sources" | "app" | "apps" | "main" | "lib")
            && !is_test_root(part)
    };
    parts.iter().rev().find(usual).map_or_else(|| package.to_owned(), |part| (*part).to_owned())
}

/// Adds the library of all that is no program. Returns its name.
fn add_library(
    files: &Files<'_>,
    package: &mut Package,
    sources: Vec<String>,
    mains: &[String],
) -> String {
    let bare = package.name.strip_prefix("lib").filter(|rest| !rest.is_empty());
    let bare = bare.unwrap_or(&package.name).to_owned();
    let is_taken = mains.iter().any(|main| program_name(main, &package.name) == bare);
    let name = package.free_name(&if is_taken { format!("{bare}-core") } else { bare });
    let needs = files.needs(&sources);
    let missing = said(&needs);
    package.targets.push(Target {
        name: name.clone(),
        kind: Kind::Static,
        sources,
        flags: flags(&needs),
        link_args: needs.link_args,
        ..Target::default()
    });
    missing.into_iter().for_each(|(what, why)| package.leave_out(what, why));
    name
}

fn add_program(
    files: &Files<'_>,
    package: &mut Package,
    name: String,
    sources: Vec<String>,
    library: Option<&str>,
    kind: Kind,
) {
    let needs = files.needs(&sources);
    if let Some((framework, header)) = &needs.framework {
        let why = format!("it includes {header}, and so {}", system::advice(framework));
        sources.into_iter().for_each(|path| package.leave_out(path, why.clone()));
        return;
    }
    said(&needs).into_iter().for_each(|(what, why)| package.leave_out(what, why));
    let given = |argument: &String| {
        let of = package.targets.iter().find(|target| Some(&*target.name) == library);
        of.is_some_and(|library| library.link_args.contains(argument))
    };
    let link_args = needs.link_args.iter().filter(|argument| !given(argument)).cloned().collect();
    let name = package.free_name(&name);
    package.targets.push(Target {
        name,
        kind,
        sources,
        flags: flags(&needs),
        libraries: library.map(str::to_owned).into_iter().collect(),
        link_args,
        ..Target::default()
    });
}

fn flags(needs: &Needs) -> Flags {
    let optimised = vec!["-O2".to_owned()];
    Flags {
        includes: needs.includes.clone(),
        warnings: vec!["all".to_owned()],
        c_args: optimised.clone(),
        cxx_args: optimised,
        ..Flags::default()
    }
}

/// Headers that are not in the tree, for people.
fn said(needs: &Needs) -> Vec<(String, String)> {
    let missing = needs.missing.iter();
    let missing = missing.map(|(header, by)| {
        let what = format!("the header {header}");
        (
            what,
            format!(
                "{by} includes it; where the system has none, generate it, or make it a dependency"
            ),
        )
    });
    missing.collect()
}
