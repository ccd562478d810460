//! Profiles: their arguments, their directories, and what they have in common.

use std::{collections::BTreeSet, fs};

use insta::assert_snapshot;
use larder_testkit::{events::Built, project::Project};

/// A library whose arguments no profile changes by name: those of profiles are in `x` alone, which is built
/// by a program that prints what it was given.
const SOURCES: &str = "#include <stdio.h>\nint own(void);\nint main(void) {\n#ifdef NDEBUG\nfputs(\"release\", stdout);\n#else\nfputs(\"debug\", stdout);\n#endif\n#ifdef EXTRA\nfputs(\" \" EXTRA, stdout);\n#endif\nreturn printf(\" %d\\n\", own()) < 0; }\n";

fn project(profiles: &str) -> Project {
    let project = Project::cached(&format!(
        "{profiles}\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [\"own\"]\n[[library]]\nname = \"own\"\nsources = [\"own.c\"]\nincludes = [\"{{build}}/gen\"]\ninputs = [\"{{made}}\"]\n[[command]]\nname = \"made\"\noutputs = [\"gen/made.h\"]\nrun = [\"sh\", \"-c\", \"echo '#define MADE 7' > $0\", \"{{out}}\"]\n"
    ));
    project.file("x.c", SOURCES);
    project.file("own.c", "#include \"made.h\"\nint own(void) { return MADE; }\n");
    project
}

fn with_profile(project: &Project, profile: &str) -> Built {
    project.build_with(&["--profile", profile])
}

#[test]
fn each_profile_has_its_directory_and_its_no_op() {
    let project = project("");
    let run =
        |arguments: &[&str]| project.larder(&[&["exec"], arguments, &["x"]].concat()).ok().stdout;
    assert_eq!(run(&[]), "debug 7\n");
    assert_eq!(run(&["--profile", "debug"]), "debug 7\n");
    assert_eq!(run(&["--profile", "release"]), "release 7\n");
    let directories = || -> BTreeSet<String> {
        let entries = fs::read_dir(project.path(".larder")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let expected = ["build", "build-debug", "build-release"].map(str::to_owned);
    assert!(directories().is_superset(&expected.into()), "{:?}", directories());
    // Whichever comes next, nothing is to be done, in any of them.
    for profile in [None, Some("release"), Some("debug"), None, Some("debug"), Some("release")] {
        let built =
            profile.map_or_else(|| project.build(), |profile| with_profile(&project, profile));
        built.all("replayed");
    }
    let queried = project.larder(&["query", "--profile", "release", "x"]).ok().stdout;
    assert!(queried.trim_end().ends_with(".larder/build-release/x"), "{queried}");
    let why = |arguments: &[&str]| project.larder(&[&["why"], arguments].concat()).ok().stdout;
    project.replace("own.c", "return MADE", "return 1 + MADE");
    assert!(why(&["--profile", "release"]).contains("own.c"));
    project.build();
    assert!(why(&[]).contains("up to date"));
    assert!(why(&["--profile", "release"]).contains("own.c"));
    project.larder(&["build", "--no-build", "--profile", "debug"]).ends_with(3);
    project.larder(&["graph", "--profile", "debug"]).ok();
    project.larder(&["clean"]).ok();
    let left = directories();
    assert!(!left.iter().any(|name| name.starts_with("build")), "{left:?}");
}

/// What a profile does not change comes from the store, with the same bytes as for another: debug
/// information calls all build directories by one name.
#[test]
fn objects_that_do_not_differ_are_shared() {
    let both = "[defaults]\ntrace-args = [\"-g\"]\n[profile.one]\n[profile.two]\nlink-args = [\"-Wl,--build-id=none\"]\n[profile.cxx]\ncxx-args = [\"-DCXX\"]\n";
    let project = project(both);
    with_profile(&project, "one").all("built");
    let built = with_profile(&project, "two");
    assert_eq!(built.built(), ["x"], "{}", built.all);
    assert_eq!(built.all.matches("build-id=none").count(), 1, "{}", built.all);
    with_profile(&project, "cxx").all("restored");
    project.build().all("restored");
    // And back: everything is where it was.
    for profile in ["one", "two", "cxx"] {
        with_profile(&project, profile).all("replayed");
    }
}

/// Compiled in whichever directory, the bytes are the same, also with headers that a dependency generates.
#[test]
fn debug_information_names_no_profile() {
    let project = project("[defaults]\ntrace-args = [\"-g\"]\n[profile.one]\n[profile.two]\n");
    project.file("inner/larder.toml", "[package]\nname = \"inner\"\n[[library]]\nname = \"inner\"\nsources = [\"inner.c\"]\nincludes = [\"{build}\"]\ninputs = [\"{header}\"]\n[[command]]\nname = \"header\"\noutputs = [\"inner.h\"]\nrun = [\"sh\", \"-c\", \"echo 'static inline int inner(void) { return 1; }' > $0\", \"{out}\"]\n");
    project.file("inner/inner.c", "#include \"inner.h\"\nint outer(void) { return inner(); }\nconst char *file(void) { return __FILE__; }\n");
    project.replace("larder.toml", "[[command]]", "[[library]]\nname = \"user\"\nsources = [\"user.c\"]\nlibraries = [\"inner/inner\"]\n[dependencies]\ninner = { path = \"inner\" }\n[[command]]");
    project.file("user.c", "#include \"inner.h\"\nint user(void) { return inner(); }\n");
    let outputs = ["libown.a", "libuser.a", "@inner/libinner.a"];
    let made = |profile: Option<&str>| {
        let arguments = profile.map_or(Vec::new(), |profile| vec!["--profile", profile]);
        let build = ["build", "--no-cache", "@p", "@inner/inner"];
        project.larder(&[&build[..], &arguments].concat()).ok();
        let directory = profile.map_or("build".to_owned(), |profile| format!("build-{profile}"));
        let built = project.path(".larder").join(directory);
        outputs.map(|output| fs::read(built.join(output)).unwrap())
    };
    let plain = made(None);
    assert!(made(Some("one")) == plain && made(Some("two")) == plain);
}

#[test]
fn profiles_of_the_manifest() {
    let profiles = r#"
[profile.release]
inherits = "release"
defines = ["EXTRA=\"extra\""]

[profile.fast]
inherits = "release"
c-args = ["-O3"]

[profile.debug]
trace-args = ["-DEXTRA=\"mine\""]
"#;
    let project = project(profiles);
    let run = |profile: &str| project.larder(&["exec", "--profile", profile, "x"]).ok().stdout;
    assert_eq!(run("release"), "release extra 7\n");
    assert_eq!(run("fast"), "release extra 7\n");
    assert_eq!(run("debug"), "debug mine 7\n");
    // A profile's arguments come after the target's.
    project.replace("larder.toml", "name = \"own\"", "name = \"own\"\nc-args = [\"-O1\"]");
    let built = with_profile(&project, "fast").all;
    assert!(built.contains("-O1 -O2 -DNDEBUG -O3"), "{built}");
}

#[test]
fn sanitizers_compile_and_link_packages_and_their_dependencies() {
    let project = Project::new(
        "[dependencies]\nlow = { path = \"low\" }\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [\"low/low\"]\n[profile.memory]\ninherits = \"asan\"\nincludes = [\"only-here\"]\n",
    );
    project.file(
        "x.c",
        "int low(int);\nint main(int count, char **words) { return low(count + 3) * 0; }\n",
    );
    project.file("only-here/none.h", "");
    project.file(
        "low/larder.toml",
        "[package]\nname = \"low\"\n[[library]]\nname = \"low\"\nsources = [\"low.c\"]\n",
    );
    project.file(
        "low/low.c",
        "int low(int at) { volatile int list[3] = { 1, 2, 3 }; return list[at]; }\n",
    );
    project.larder(&["exec", "--profile", "debug", "x"]).ok();
    for profile in ["asan", "memory"] {
        let run = project.larder(&["exec", "--profile", profile, "x"]);
        assert!(run.stderr.contains("stack-buffer-overflow"), "{}", run.stderr);
    }
    project.file("x.c", "int low(int);\nint main(int count, char **words) { volatile int big = 0x7fffffff; volatile int sum = big + count; return low(0) * 0; }\n");
    let run = project.larder(&["exec", "--profile", "ubsan", "x"]);
    assert!(run.stderr.contains("signed integer overflow"), "{}", run.stderr);
    project.larder(&["build", "--profile", "tsan"]).ok();
}

#[test]
fn conditions_on_profiles() {
    let project = project(
        "[profile.fast]\ninherits = \"release\"\n[defaults]\n[[defaults.case]]\nwhen = { profile = \"release\" }\ndefines = [\"EXTRA=\\\"r\\\"\"]\n[[defaults.case]]\nwhen = { not = { profile = [\"release\", \"debug\"] } }\ndefines = [\"EXTRA=\\\"none\\\"\"]\n",
    );
    let run =
        |arguments: &[&str]| project.larder(&[&["exec"], arguments, &["x"]].concat()).ok().stdout;
    assert_eq!(run(&[]), "debug none 7\n");
    assert_eq!(run(&["--profile", "debug"]), "debug 7\n");
    assert_eq!(run(&["--profile", "fast"]), "release r 7\n");
    let key =
        |arguments: &[&str]| project.larder(&[&["ci", "key"], arguments].concat()).ok().stdout;
    assert_ne!(key(&[]), key(&["--profile", "fast"]));
    assert_ne!(key(&["--profile", "debug"]), key(&["--profile", "fast"]));
    project
        .larder(&["ci", "key", "--profile", "fats"])
        .ends_with(2)
        .mentions(&["did you mean `fast`?"]);
}

#[test]
fn mistakes_in_profiles() {
    let refused = |manifest: &str, profile: &str| {
        let project =
            Project::new(&format!("{manifest}\n[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n"));
        project.file("a.c", "int a;\n");
        let run = project.larder(&["build", "--profile", profile]).ends_with(2);
        project.redact(&run.stderr)
    };
    assert_snapshot!(refused("[profile.mine]", "releese"), @r#"
    error: --profile releese: there is no such profile in `p`
      help: did you mean `release`?
    "#);
    assert_snapshot!(refused("[profile.mine]", "x"), @r#"
    error: --profile x: there is no such profile in `p`
      help: the profiles are mine, debug, release, asan, ubsan, tsan; [profile.x] would be another
    "#);
    assert_snapshot!(refused("", "../x"), @r#"
    error: --profile ../x: there is no such profile in `p`
      help: the profiles are debug, release, asan, ubsan, tsan
    "#);
    let manifest = r#"
[profile."a/b"]
[profile.a]
inherits = "b"
[profile.b]
inherits = "a"
[profile.c]
inherits = "c"
[profile.d]
inherits = "nothing"
sources = ["x.c"]
inherit = "e"
[profile.e]
inherits = "e2"
[profile.e2]
inherits = "debug"
[defaults]
[[defaults.case]]
when = { profile = "relaese" }
[profile]
f = 1
"#;
    assert_snapshot!(refused(&manifest.replace("[profile]\nf = 1\n", ""), "a"), @r#"
    error: [DIR]/larder.toml:5:10: `a/b` cannot name a profile
       |
     5 | [profile."a/b"]
       |          ^^^^^
    error: [DIR]/larder.toml:7:12: profiles inherit from each other in a cycle: a -> b -> a
       |
     7 | inherits = "b"
       |            ^^^
    error: [DIR]/larder.toml:11:12: profile `c` inherits from itself
        |
     11 | inherits = "c"
        |            ^^^
        = help: no profile of that name is there by convention
    error: [DIR]/larder.toml:13:12: there is no profile `nothing` to inherit from
        |
     13 | inherits = "nothing"
        |            ^^^^^^^^^
        = help: the profiles are a, b, c, d, e, e2, debug, release, asan, ubsan, tsan; [profile.nothing] would be another
    error: [DIR]/larder.toml:14:11: `sources` cannot stand in profile `d`
        |
     14 | sources = ["x.c"]
        |           ^^^^^^^
        = help: it belongs to one target: write it in a [[library]] or an [[executable]]
    error: [DIR]/larder.toml:15:1: unknown key `inherit` in profile `d`
        |
     15 | inherit = "e"
        | ^^^^^^^
        = help: did you mean `inherits`?
    error: [DIR]/larder.toml:22:20: unknown profile `relaese`
        |
     22 | when = { profile = "relaese" }
        |                    ^^^^^^^^^
        = help: did you mean `release`?
    "#);
}
