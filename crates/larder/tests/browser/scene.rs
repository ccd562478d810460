//! An ecosystem as real runs leave it, and larder that shows it.

use std::os::unix::process::CommandExt;

use larder_runs::history;
use larder_testkit::{
    run::run,
    set::{Package, Set},
};

/// What tries to run or to become an element, wherever it is shown.
pub const HOSTILE: &str =
    "<script>window.harmed=1</script><img src=x onerror=window.harmed=1><b class=harmed>";

/// The package whose errors and logs are hostile.
pub const ATTACKER: &str = "parser.0.9";

/// Packages that are broken in some runs.
const JUDGED: [&str; 4] = ["crypt.3.0", "clock.1.2", "sound.0.8", "jpeg.9.5"];

/// An ecosystem with a past.
pub struct Scene {
    /// Its set.
    pub set: Set,
    /// Its full runs, oldest first.
    pub runs: Vec<String>,
    /// The run that compared both compilers.
    pub comparison: String,
}

impl Scene {
    /// Builds it in four full runs and a comparison. This is what one of its packages says when it fails.
    pub fn build(error: &str) -> Self {
        let set = Set::new(&packages());
        set.append(more());
        set.file(&format!("sources/{ATTACKER}/said"), &said(error));
        let mut runs = Vec::new();
        // What is broken in each run.
        for broken in [
            &["crypt.3.0"][..],
            &["clock.1.2"],
            &["sound.0.8", "jpeg.9.5"],
            &["clock.1.2", "sound.0.8"],
        ] {
            for package in JUDGED {
                let text = if broken.contains(&package) { "broken" } else { "whole" };
                set.file(&format!("sources/{package}/README"), text);
            }
            set.commit();
            batch(&set, &[]);
            runs.push(set.last_run());
        }
        batch(&set, &["--compare", "cc.1", "gcc.1", "viewer", "codec"]);
        let comparison = set.last_run();
        Self { set, runs, comparison }
    }

    /// The path of the page of the log that says why the attacker fails.
    pub fn hostile_log(&self) -> String {
        let package = ATTACKER.parse().unwrap();
        let entries = history::read(&self.set.data.packages(), &package).unwrap().entries;
        let logged = entries.iter().rev().find_map(|it| Some((&it.run, it.result.log.as_ref()?)));
        let (run, log) = logged.expect("the failure has a log");
        format!("/runs/{run}/{}.html", log.path)
    }

    /// The last two full runs.
    pub fn last_two(&self) -> (&str, &str) {
        let [.., base, candidate] = &self.runs[..] else { panic!("there are too few runs") };
        (base, candidate)
    }
}

/// A run in which something fails. Its page shows the command, which is the same on every machine.
fn batch(set: &Set, arguments: &[&str]) {
    let mut command = set.command(&["batch", "--no-sandbox"]);
    run(command.args(arguments).arg0("larder")).ends_with(1);
}

fn packages() -> Vec<Package> {
    let judged = |name| {
        Package::new(name).line(
            "! grep -q broken README || { e=error; echo \"src/init.c:41:9: $e: too few arguments to function 'start'\"; exit 1; }",
        )
    };
    let no_gcc = "case \"$CC\" in gcc*) e=error; echo \"simd.c:7:3: $e: unknown type name 'v8si'\"; exit 1;; esac";
    let page = format!("<!doctype html><title>Notes</title><h1>Notes</h1>{HOSTILE}");
    vec![
        Package::new("zlib.1.3.1").docs("echo '<!doctype html><html lang=en><title>zlib</title><h1>zlib</h1><p>Compresses.' > {docs}/index.html"),
        judged("jpeg.9.5"),
        Package::new("png.1.6.43").needs("zlib", "1").test("test -d {prefix}"),
        Package::new("tiff.4.6").needs("zlib", "1").needs("jpeg", "9"),
        Package::new("freetype.2.13").needs("png", "1"),
        Package::new("cairo.1.18").needs("png", "1").needs("freetype", "2"),
        Package::new("pango.1.52").needs("cairo", "1"),
        Package::new("codec.2.4").line(no_gcc),
        Package::new("viewer.2.0").needs("pango", "1").needs("tiff", "4"),
        Package::new("player.1.1").needs("codec", "2").needs("sound", "0.8"),
        judged("crypt.3.0"),
        Package::new("tunnel.5.1").needs("crypt", "3"),
        judged("clock.1.2"),
        judged("sound.0.8"),
        Package::new("mixer.1.1").needs("sound", "0.8"),
        Package::new(ATTACKER).line("cat said; exit 1"),
        Package::new("site.1.4").needs("parser", "0.9"),
        Package::new("reader.3.1").needs("site", "1"),
        Package::new("exporter.0.2").needs("parser", "0.9").needs("zlib", "1"),
        Package::new("museum.1.0").needs("zlib", "0.9"),
        Package::new("notes.0.3").docs(format!("echo '{page}' > {{docs}}/index.html")),
    ]
}

/// What a compiler may say, in colours, with an order to read backwards and a title for the terminal.
fn said(error: &str) -> String {
    let steps = ["lexer", "table", "states", "tree", "names", "scope"];
    let mut said =
        String::from("checking for a C compiler... cc\nchecking for zlib... \x1b[32myes\x1b[0m\n");
    for (number, step) in steps.iter().enumerate() {
        said +=
            &format!("[{}/14] cc -O2 -Iinclude -c src/{step}.c -o build/{step}.o\n", number + 1);
    }
    said += "\x1b]0;title\x07\x1b[1msrc/scope.c:97:5: \x1b[33mwarning:\x1b[0m unused variable 'depth'\n";
    said += &format!("\x1b[1msrc/parser.c:118:22:\x1b[0m \x1b[1;31merror:\x1b[0m {error}\n");
    said + "  118 |   return token(next)\n      |                      \x1b[1;32m^\x1b[0m\n\u{202e}1 error generated.\n"
}

/// The rest of the set file.
fn more() -> &'static str {
    "[compiler.\"gcc.1\"]\ncc = \"gcc\"\ncxx = \"g++\"\n\n[set]\nname = \"Harbour\"\n\n\
         [maintainers]\npng = [\"Ana <ana@example.org>\"]\nsound = [\"Ana <ana@example.org>\", \"bo@example.org\"]\n\
         parser = [\"Eve & 'Co' <eve@example.org>\"]\n"
}
