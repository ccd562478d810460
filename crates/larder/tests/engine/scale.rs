//! Many targets, long chains, long command lines.

use std::{
    fmt::Write,
    fs,
    process::Command,
    time::{Duration, SystemTime},
};

use larder_testkit::project::Project;

const MANY: usize = 20_000;

/// Runs `work`, whose processes must not take more than `seconds` of processor time, in a build without
/// optimisation: what grows with the square of the targets takes minutes. The clock would tell what else the machine
/// has to do.
#[track_caller]
fn within<T>(seconds: u64, work: impl FnOnce() -> T) -> T {
    let before = processor_time();
    let result = work();
    let took = processor_time() - before;
    assert!(took < Duration::from_secs(seconds), "took {took:?}");
    result
}

/// The processor time of the processes that this one has waited for. Others are not waited for meanwhile: each test has
/// a process of its own.
fn processor_time() -> Duration {
    let status = fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may have anything in it. Ticks are hundredths of seconds on Linux.
    let fields = status.rsplit_once(')').unwrap().1.split_whitespace().skip(13).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Commands of which each reads a file and, in a chain, what the one before it made; all done, as
/// their times say to `--old`.
fn commands(chain: bool) -> Project {
    let mut manifest = String::new();
    for number in 0..MANY {
        let needs = match number {
            1.. if chain => format!(", \"{{c{}}}\"", number - 1),
            _ => String::new(),
        };
        writeln!(manifest, "[[command]]\nname = \"c{number}\"\ninputs = [\"in\"{needs}]\noutputs = [\"o{number}\"]\nrun = [\"false\"]").unwrap();
    }
    let project = Project::new(&manifest);
    project.file("in", "");
    fs::create_dir_all(project.output("")).unwrap();
    let start = SystemTime::now() + Duration::from_secs(1);
    for number in 0..MANY {
        let file = fs::File::create(project.output(&format!("o{number}"))).unwrap();
        file.set_modified(start + Duration::from_micros(number as u64)).unwrap();
    }
    project
}

#[test]
fn twenty_thousand_targets_in_one_manifest() {
    let project = commands(false);
    for _ in 0..2 {
        let run = within(20, || project.larder(&["build", "--old"]).ok());
        assert!(run.stderr.starts_with("20000 up to date"), "{}", run.stderr);
    }
    assert_eq!(within(20, || project.larder(&["graph"]).ok()).stdout.lines().count(), MANY);
    within(20, || project.larder(&["build", "--old", "c19998", "--dry-run"]).ok());
    within(20, || project.larder(&["build", "c20000"]).ends_with(2).says("did you mean"));
    // One that is out of date is found among all.
    project.remove(".larder/build/o12345");
    let run = within(20, || project.larder(&["build", "--old", "--no-build"]).ends_with(3));
    assert!(run.stderr.starts_with("out of date c12345 o12345"), "{}", run.stderr);
}

#[test]
fn a_chain_of_twenty_thousand() {
    let project = commands(true);
    let last = format!("c{}", MANY - 1);
    let run = within(20, || project.larder(&["build", "--old", &last]).ok());
    assert!(run.stderr.starts_with("20000 up to date"), "{}", run.stderr);
    let text = within(20, || project.larder(&["graph", &last]).ok().stdout);
    assert_eq!(text.lines().count(), MANY);
    assert!(text.len() < 5_000_000, "{} bytes", text.len());
    within(20, || project.larder(&["graph", "--dot"]).ok());
    project.remove(".larder/build/o0");
    let run = within(20, || project.larder(&["build", "--old", "--dry-run", &last]).ok());
    assert!(run.stderr.contains("20000 out of date"), "{}", &run.stderr[run.stderr.len() - 200..]);
    let why = within(20, || project.larder(&["why", &last]).ok().stdout);
    assert_eq!(
        why,
        "not built yet: 1 out of date: o0\nand what needs them: c1, c2, c3 and 19996 more\n"
    );
    // The first of them fails, and that is the end of all.
    within(20, || project.larder(&["build", &last]).ends_with(1)).says("1 failed");
}

#[test]
fn a_cycle_of_twenty_thousand() {
    let project = commands(true);
    let manifest = project.read("larder.toml");
    project.file(
        "larder.toml",
        manifest.replacen("[\"in\"]", &format!("[\"in\", \"{{c{}}}\"]", MANY - 1), 1),
    );
    let run = within(20, || project.larder(&["build"]).ends_with(2));
    assert!(run.stderr.contains("cycle: c0 -> c19999 -> c19998 ->"), "{}", run.stderr);
    assert!(run.stderr.len() < 1000, "{} bytes", run.stderr.len());
}

#[test]
fn an_archive_of_three_thousand_objects_with_long_paths() {
    let project = Project::new(
        "[toolchain]\ncc = \"./cc\"\n\n[[library]]\nname = \"a\"\nsources = [\"src/**/*.c\"]\n",
    );
    // A compiler that is quick: it copies an object made before.
    project.file("base.c", "int base;\n");
    project.file("cc.c", "#include <stdio.h>\nint main(int c, char **v) { if (c < 5) return 1; FILE *i = fopen(\"base.o\", \"r\"), *o = fopen(v[3], \"w\"); char b[65536]; fwrite(b, 1, fread(b, 1, sizeof b, i), o); return fclose(o); }\n");
    for arguments in [["-c", "base.c", "-o", "base.o"], ["-O1", "cc.c", "-o", "cc"]] {
        let status = Command::new("cc").args(arguments).current_dir(&project.root).status();
        assert!(status.unwrap().success());
    }
    let long = "a-directory-with-a-rather-long-name/and-another-one-below-it";
    for number in 0..3000 {
        project.file(&format!("src/{long}/source-{number:04}.c"), "");
    }
    let run = project.larder(&["build"]).ok();
    assert!(run.stderr.ends_with('\n') && run.stderr.contains("3001 built"), "{}", run.stderr);
    let listed = Command::new("ar").arg("t").arg(project.output("liba.a")).output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().count(), 3000);
    assert!(listed.starts_with("source-0000.c.o\nsource-0001.c.o\n"));
    let run = project.larder(&["build"]).ok();
    assert!(run.stderr.starts_with("3001 up to date"), "{}", run.stderr);
}

#[test]
fn linkers_and_compilers_take_long_command_lines() {
    // More than larder puts on a command line, less than the compiler can pass on to its own programs.
    let many: Vec<String> = (0..1700)
        .map(|n| format!("\"-DA_MACRO_WITH_A_LONG_NAME_{n:04}=\\\"a value, quoted {n}\\\"\""))
        .collect();
    let paths: Vec<String> = (0..1700)
        .map(|n| format!("\"-L/no/such/directory/of/libraries/with/a/long/name/{n:04}\""))
        .collect();
    let project = Project::new(&format!(
        "[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\ntrace-args = [{}]\nlink-args = [{}]\n",
        many.join(", "),
        paths.join(", ")
    ));
    project.file("x.c", "#include <string.h>\nint main(void) { return strcmp(A_MACRO_WITH_A_LONG_NAME_1699, \"a value, quoted 1699\"); }\n");
    project.larder(&["build"]).ok();
    project.larder(&["exec", "x"]).ok();
}

#[test]
fn other_commands_get_long_argument_lists_as_they_are() {
    let project = Project::new(
        r#"
[[command]]
name = "count"
inputs = ["many/*"]
outputs = ["count", "lines"]
run = ["sh", "-c", "out=$1; lines=$2; list=$3; shift 3; echo $# > $out; wc -l < $list > $lines", "sh", "{outs}", "{inlist}", "{in}"]
"#,
    );
    for number in 0..2000 {
        project.file(
            &format!(
                "many/a-file-with-a-rather-long-name-so-that-there-is-much-to-say-{number:04}"
            ),
            "",
        );
    }
    project.larder(&["build"]).ok();
    assert_eq!(fs::read_to_string(project.output("count")).unwrap(), "2000\n");
    assert_eq!(fs::read_to_string(project.output("lines")).unwrap().trim(), "2000");

    let long = "x".repeat(200_000);
    let project = Project::new(&format!(
        "[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"true\", \"{long}\"]\n"
    ));
    let run = project
        .larder(&["build"])
        .ends_with(1)
        .says("its command line is too long; have it read the file list that {inlist} names");
    assert!(run.stderr.len() < 10_000, "{} bytes", run.stderr.len());
}
