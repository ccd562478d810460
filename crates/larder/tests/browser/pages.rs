//! The pages of a site, and what each has to say.

use crate::scene::{ATTACKER, Scene};

/// A page and what it has to say.
pub struct Page {
    /// What it is called here.
    pub name: &'static str,
    /// Its path on the server.
    pub path: String,
    /// Its heading.
    pub heading: String,
    /// Its path among exported files; none where it is not exported.
    pub exported: Option<String>,
    /// What it says.
    pub facts: Vec<String>,
}

/// The words of the navigation.
pub const NAVIGATION: [&str; 7] =
    ["Overview", "Packages", "Runs", "Maintainers", "Documentation", "Cache", "Locks"];

/// Every kind of page.
pub fn pages(scene: &Scene) -> Vec<Page> {
    let (base, candidate) = scene.last_two();
    let page = |name, path: &str, heading: &str, facts: &[&str]| Page {
        name,
        path: path.to_owned(),
        heading: heading.to_owned(),
        exported: exported(path),
        facts: facts.iter().map(|&fact| fact.to_owned()).collect(),
    };
    let hostile = "<script>window.harmed=1</script>";
    vec![
        page(
            "overview",
            "/",
            "Harbour",
            &["21 packages", "Fix this first", "Now and then", "recovered"],
        ),
        page("packages", "/packages", "Packages", &["21 of 21 packages", "zlib.1.3.1", hostile]),
        page(
            "package",
            &format!("/packages/{ATTACKER}"),
            ATTACKER,
            &["Why it does not work", hostile, "site.1.4"],
        ),
        page("documented", "/packages/zlib.1.3.1", "zlib.1.3.1", &["read it", "png.1.6.43"]),
        page("runs", "/runs", "Runs", &[base, candidate, "full", "compare"]),
        page(
            "run",
            &format!("/runs/{candidate}"),
            &format!("Run {candidate}"),
            &["What failed", "Compare with"],
        ),
        page(
            "comparison",
            &format!("/runs/{}", scene.comparison),
            &format!("Run {}", scene.comparison),
            &["From cc.1 to gcc.1", "1 regressed"],
        ),
        page(
            "compare",
            &format!("/compare?base={base}&candidate={candidate}"),
            &format!("Two runs: {base} and {candidate}"),
            &["clock.1.2", "new failure"],
        ),
        page("maintainers", "/maintainers", "Maintainers", &["Ana", "Eve & 'Co'"]),
        page("maintainer", "/maintainers/ana@example.org", "Ana", &["png.1.6.43", "sound.0.8"]),
        page(
            "log",
            &scene.hostile_log(),
            "build of parser.0.9",
            &[hostile, "unused variable", "Line 13 says what went wrong"],
        ),
        page("cache", "/cache", "Cache", &[]),
        page("locks", "/locks", "Locks", &["Nobody works on anything"]),
        page("docs", "/docs", "Documentation", &["zlib", "1.3.1"]),
    ]
}

/// The path of a page among exported files.
fn exported(path: &str) -> Option<String> {
    let file = match path.strip_prefix("/compare?base=") {
        Some(sides) => format!("/compare/{}/", sides.replace("&candidate=", "/")),
        None if path.ends_with(".html") || path == "/" => path.to_owned(),
        None => format!("{path}/"),
    };
    (path != "/locks").then_some(file)
}
