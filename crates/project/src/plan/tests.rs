use std::{fs, path::Path};

use insta::assert_snapshot;

use super::*;
use crate::{dependencies::Resolution, setting::Setting};

fn plan_of(manifest: &str) -> Result<Plan, Diagnostics> {
    let directory = tempfile::tempdir().unwrap();
    plan_in(directory.path(), manifest)
}

fn plan_in(directory: &Path, manifest: &str) -> Result<Plan, Diagnostics> {
    let text = format!("[package]\nname = \"p\"\n{manifest}");
    fs::write(directory.join("larder.toml"), text).unwrap();
    Plan::new(Workspace::read(directory, &Resolution::default())?.settle(&Setting::default())?)
}

fn id(plan: &Plan, name: &str) -> TargetId {
    plan.resolve(PackageId::ROOT, &name.parse().unwrap()).unwrap()[0]
}

fn labels(plan: &Plan, ids: &[TargetId]) -> Vec<String> {
    ids.iter().map(|id| plan.target(*id).label.to_string()).collect()
}

fn refused(manifest: &str) -> String {
    let Err(Diagnostics(found)) = plan_of(manifest) else { return "accepted".to_owned() };
    let line = |diagnostic: &Diagnostic| {
        let line = diagnostic.line_column().map_or(0, |(line, _)| line);
        let help = diagnostic.help.as_deref().unwrap_or("none");
        format!("{line}: {}\n   help: {help}\n", diagnostic.message)
    };
    found.iter().map(line).collect()
}

const LINKED: &str = r#"
[[library]]
name = "low"
sources = ["low.c"]
includes = ["low/./", "{build}/gen"]
inputs = ["{headers}", "low.map"]
link-args = ["-Wl,--version-script=low.map"]
kind = ["shared"]
trace-args = ["-DLOW"]

[[library]]
name = "high"
sources = ["high.c"]
includes = ["{package}/high", "{headers}"]
libraries = ["low"]

[[executable]]
name = "tool"
sources = ["tool.c", "{parser}"]
includes = ["."]
libraries = ["high"]
link-args = ["-lm"]
test = true
test-args = ["{tool}", "{build}/x"]

[[command]]
name = "headers"
outputs = ["gen/"]
run = ["sh", "-c", "mkdir $0", "{out}"]

[[command]]
name = "parser"
outputs = ["parser.c", "parser.h"]
run = ["./yacc", "{outs}"]

[[command]]
name = "generate"
inputs = ["a.txt", { path = "b.bin", text = false }, "{build}/parser.h"]
text = true
outputs = ["made"]
run = ["{tool}", "-o={out}", "{in}"]
tools = ["pkg-config"]
system-files = ["/usr/include/zlib.h"]
probes = [["pkg-config", "--modversion", "zlib"]]
always = true
"#;

#[test]
fn sources_links_and_headers() {
    let plan = plan_of(LINKED).unwrap();
    let Kind::Linked(tool) = &plan.target(id(&plan, "tool")).kind else { panic!() };
    assert_eq!(labels(&plan, &tool.libraries), ["high:static", "low:shared"]);
    assert_eq!(labels(&plan, &tool.direct_libraries), ["high:static"]);
    assert_eq!(labels(&plan, &[tool.objects]), ["tool:o"]);
    let arguments: Vec<&str> = tool.link_args.iter().map(|a| a.text.as_str()).collect();
    assert_eq!(arguments, ["-lm", "-Wl,--version-script=low.map"]);
    let files: Vec<&Files> = tool.inputs.iter().map(|input| &input.files).collect();
    let headers = id(&plan, "headers");
    assert_eq!(files, [&Files::Outputs(headers), &Files::Pattern("low.map".to_owned())]);

    let Kind::Objects(objects) = &plan.target(tool.objects).kind else { panic!() };
    let made = |target, position| Made { target, position };
    let parser = id(&plan, "parser");
    let sources: Vec<&Source> = objects.sources.iter().map(|source| &source.value).collect();
    assert_eq!(
        sources,
        [
            &Source::Files { pattern: "tool.c".to_owned() },
            &Source::Output { made: made(parser, 0), language: Language::C },
        ]
    );
    // `{build}/gen` of the one is `{headers}` of the other.
    let includes: Vec<&DirectoryAt> = objects.includes.iter().map(|found| &found.at).collect();
    assert_eq!(
        includes,
        [
            &DirectoryAt::Package(String::new()),
            &DirectoryAt::Package("high".to_owned()),
            &DirectoryAt::Output { made: made(headers, 0), path: "gen".to_owned() },
            &DirectoryAt::Package("low".to_owned()),
        ]
    );
    assert_eq!(labels(&plan, &objects.reads), ["parser", "headers"]);
    assert!(!objects.position_independent);
    let Kind::Objects(low) = &plan.target(id(&plan, "low:o")).kind else { panic!() };
    assert!(low.position_independent);
    assert_eq!(low.arguments.of(Language::C), ["-DLOW"]);
}

/// An executable is as good as the shared libraries that it loads.
#[test]
fn what_runs_needs_what_it_loads() {
    let plan = plan_of(LINKED).unwrap();
    let target = plan.target(id(&plan, "generate"));
    let Kind::Command(command) = &target.kind else { panic!() };
    let tool = id(&plan, "tool");
    assert_eq!(command.program, Program::Made(Made { target: tool, position: 0 }));
    assert_eq!(labels(&plan, &command.loads), ["low:shared"]);
    assert_eq!(labels(&plan, &target.needs()), ["parser", "tool:exe", "low:shared"]);
    let Kind::Linked(linked) = &plan.target(tool).kind else { panic!() };
    assert_eq!(labels(&plan, &linked.test.as_ref().unwrap().loads), ["low:shared"]);
    let needs = plan.target(tool).test_needs(tool);
    assert_eq!(labels(&plan, &needs), ["tool:exe", "low:shared"]);
}

#[test]
fn commands_with_all_they_declare() {
    let plan = plan_of(LINKED).unwrap();
    let Kind::Command(command) = &plan.target(id(&plan, "generate")).kind else { panic!() };
    assert!(command.inputs.iter().all(|input| input.text), "the command's `text` counts for all");
    let made = Made { target: id(&plan, "parser"), position: 1 };
    assert_eq!(command.inputs[2].files, Files::Output(made));
    assert_eq!(
        command.arguments[0].parts,
        [Part::Text("-o=".to_owned()), Part::BuiltIn(BuiltIn::Out)]
    );
    assert_eq!(command.tools[0].value, "pkg-config");
    assert_eq!(command.system_files[0].value.as_str(), "/usr/include/zlib.h");
    assert_eq!(command.probes[0].value, ["pkg-config", "--modversion", "zlib"]);
    assert!(command.always);
    let Kind::Command(parser) = &plan.target(id(&plan, "parser")).kind else { panic!() };
    assert!(matches!(&parser.program, Program::File(file) if file.value == "yacc"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    assert_snapshot!(refused(r#"
[[library]]
name = "a"
sources = ["x{gone}", "{out}"]
includes = ["../up", "{out}", "{text}"]
libraries = ["text"]

[[command]]
name = "text"
outputs = ["t"]
inputs = ["{build}/tt"]
run = ["{build}/u", "{txt}"]
"#), @r##"
    8: `text` is not a library
       help: `libraries` names [[library]] targets, or PACKAGE/LIBRARY of a dependency
    6: there is no target `gone` in the package `p`
       help: `larder graph` lists the targets (for the braces themselves, write {{gone}})
    6: `{out}` stands for no file here
       help: write {TARGET} for the outputs of a target, or {build}/PATH for one of its outputs
    7: `../up` is outside the package
       help: headers of another package come with its library, by `libraries`
    7: `{out}` stands for no directory here
       help: write a directory of the package, {build}/PATH, or {TARGET} for a directory that a command makes
    7: `{text}` makes no directory to include from
       help: none
    13: no target of this package makes `tt` in the build directory
       help: did you mean {build}/t?
    14: no target of this package makes `u` in the build directory
       help: did you mean {build}/t?
    14: there is no target `txt` in the package `p`
       help: did you mean `text`? (for the braces themselves, write {{txt}})
    "##);
}

#[test]
fn arguments_and_keys_that_are_refused() {
    assert_snapshot!(refused(r#"
[[library]]
name = "a"
sources = ["a.c"]
inputs = [{ path = "x", txt = true }, 7]
weak-args = ["-Wp,-MD,x.d", "-g"]
trace-args = ["-O2", "-MF", "x.d", "-o"]

[[command]]
name = "c"
outputs = ["t"]
run = ["true"]
tools = ["bin/x"]
system-files = ["usr/include"]
probes = [[], "x"]
allways = true
"#), @r##"
    7: unknown key `txt` in an input
       help: did you mean `text`?
    7: expected a path or { path = "…", text = true }, found integer
       help: none
    8: `-Wp,-MD,x.d` cannot be a compiler argument here
       help: larder itself asks the compiler which headers it reads, and with this it would no longer learn of them; leave it out
    9: `-MF` cannot be a compiler argument here
       help: larder itself asks the compiler which headers it reads, and with this it would no longer learn of them; leave it out
    9: `-o` cannot be a compiler argument here
       help: larder itself says what is compiled to which file; leave it out
    15: `bin/x` is not the name of a program on PATH
       help: a file of the package is one of the `inputs`, a file of the system one of the `system-files`
    16: `usr/include` is not an absolute path
       help: a file of the package is one of the `inputs`
    17: a probe names a program and its arguments
       help: write probes = [["PROGRAM", "ARGUMENT", …]]
    17: expected an array of strings, found string
       help: none
    18: unknown key `allways` in command `c`
       help: did you mean `always`?
    "##);
}

#[test]
fn a_long_chain() {
    let mut manifest = String::new();
    for number in 0..20_000 {
        let inputs = match number {
            0 => String::new(),
            _ => format!("inputs = [\"{{c{}}}\"]\n", number - 1),
        };
        manifest.push_str(&format!(
            "[[command]]\nname = \"c{number}\"\noutputs = [\"o{number}\"]\nrun = [\"true\"]\n{inputs}"
        ));
    }
    let plan = plan_of(&manifest).unwrap();
    let last = id(&plan, "c19999");
    assert_eq!(plan.closure(&[last]).len(), 20_000);
}
