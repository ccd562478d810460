//! Two runs beside each other, and the verdicts of a comparison: one column a compiler, filters, commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use larder_testkit::{
    processes::spawn,
    run::{Run, run},
    server::Server,
    set::{Package, Set},
};
use serde_json::Value;

use super::client::{Client, HOSTILE};

const GCC: &str = "[compiler.\"gcc.1\"]\ncc = \"gcc\"\ncxx = \"g++\"\n\n\
    [maintainers]\npicky = [\"Ana <ana@example.org>\"]\nbroken = [\"bo@example.org\"]\n";

/// A package that does not build with GCC where its sources are bad.
fn picky(name: &'static str) -> Package {
    Package::new(name).line(
        "case \"$CC\" in gcc*) ! grep -q bad README || { e=error; echo \"simd.c:7:3: $e: no v8si\"; exit 1; };; esac",
    )
}

/// Packages as the second run finds them. The first has `gone` and not `added`.
fn packages() -> Vec<Package> {
    let says = format!("echo '{HOSTILE}'; exit 1");
    let good = "! grep -q bad README || { e=error; echo \"a.c:1:1: $e: bad\"; exit 1; }";
    vec![
        Package::new("plain.1.0").test("true"),
        picky("picky.1.0"),
        Package::new("user.1.0").needs("picky", "1"),
        Package::new("broken.1.0").line(says),
        Package::new("mended.1.0").line(good),
        Package::new("worse.1.0").line(good),
        Package::new("added.1.0"),
    ]
}

/// A set with two compilers, and two runs.
fn two_runs() -> (Set, String, String) {
    let mut first = packages();
    first.pop();
    first.push(Package::new("gone.1.0"));
    let set = Set::new(&first);
    set.append(GCC);
    set.file("sources/mended.1.0/README", "bad");
    set.larder(&["batch"]).ends_with(1);
    let base = set.last_run();
    set.write(&packages());
    set.append(GCC);
    set.file("sources/mended.1.0/README", "good");
    for package in ["picky.1.0", "worse.1.0"] {
        set.file(&format!("sources/{package}/README"), "bad");
    }
    set.larder(&["batch"]).ends_with(1);
    let candidate = set.last_run();
    (set, base, candidate)
}

/// The rows of an answer: packages with their stages, in their order.
fn rows(answer: &Value) -> Vec<String> {
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| row["package"].as_str().unwrap().to_owned()).collect()
}

/// What the cells of a row say, by compiler.
fn cells<'r>(answer: &'r Value, package: &str, key: &str) -> BTreeMap<&'r str, &'r str> {
    let row = answer["rows"].as_array().unwrap().iter().find(|row| row["package"] == package);
    let cells =
        row.unwrap_or_else(|| panic!("no {package}: {answer}"))["cells"].as_array().unwrap();
    cells.iter().map(|it| (it["compiler"].as_str().unwrap(), it[key].as_str().unwrap())).collect()
}

#[test]
fn a_row_has_a_cell_for_each_compiler_and_results_are_counted() {
    let (set, base, candidate) = two_runs();
    let server = Server::of(&set);
    let path = format!("/compare?base={base}&candidate={candidate}");
    let compare = server.get(&format!("/api{path}")).ok().json();
    assert_eq!(compare["compilers"], serde_json::json!(["cc.1", "gcc.1"]));
    assert_eq!(
        rows(&compare),
        ["picky.1.0", "user.1.0", "worse.1.0", "broken.1.0", "mended.1.0", "added.1.0", "gone.1.0"],
        "what is new and fails first, of these what blocks most"
    );
    let change = |package| cells(&compare, package, "change");
    assert_eq!(change("picky.1.0"), [("cc.1", "same"), ("gcc.1", "new-failure")].into());
    assert_eq!(change("worse.1.0"), [("cc.1", "new-failure"), ("gcc.1", "new-failure")].into());
    assert_eq!(compare["rows"][0]["change"], "new-failure", "the worst of its cells");
    let differs: Vec<&str> = compare["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["differs"] == true)
        .map(|row| row["package"].as_str().unwrap())
        .collect();
    assert_eq!(differs, ["picky.1.0", "user.1.0"]);

    // Every result of either run counts once.
    let mut results = BTreeSet::new();
    for id in [&base, &candidate] {
        let lines = fs::read_to_string(set.data.runs().join(id).join("results.jsonl")).unwrap();
        for line in lines.lines() {
            let result: Value = serde_json::from_str(line).unwrap();
            results.insert(["package", "stage", "compiler"].map(|key| result[key].to_string()));
        }
    }
    let counts = compare["counts"].as_object().unwrap();
    let parts = counts.iter().filter(|(name, _)| *name != "total");
    let sum: u64 = parts.filter_map(|(_, count)| count.as_u64()).sum();
    assert_eq!((counts["total"].as_u64(), sum), (Some(sum), results.len() as u64));
    // What is not the same is in the cells.
    let all =
        compare["rows"].as_array().unwrap().iter().flat_map(|it| it["cells"].as_array().unwrap());
    let listed = all.filter(|cell| cell["change"] != "same").count() as u64;
    assert_eq!(listed, sum - counts["same"].as_u64().unwrap());

    // The page says the same, with the log of what fails.
    let page = server.get(&path).ok();
    for heading in ["New failures", "Still failing", "Fixed", "Added", "Removed"] {
        assert!(page.text().contains(&format!("<h2>{heading}</h2>")), "{heading}: {}", page.text());
    }
    for column in ["cc.1", "gcc.1"] {
        assert!(page.text().contains(&format!("<th scope=\"col\">{column}</th>")), "{column}");
    }
    let seen = &compare["rows"][0]["cells"][1]["seen"];
    let log = format!("/runs/{candidate}/{}.html#L", seen["path"].as_str().unwrap());
    assert!(page.text().contains(&log), "{log}: {}", page.text());
    // The command does what it says.
    let command = compare["reproduce"].as_str().unwrap();
    assert_eq!(command, "larder rerun picky.1.0 worse.1.0", "what is blocked is not tried");
    assert!(page.text().contains(command));
    typed(&set, command).ends_with(1);
}

/// Does what somebody does who copies a command into a shell where the set is.
fn typed(set: &Set, command: &str) -> Run {
    let larder = set.command(&[]);
    let binary = larder.get_program().to_owned();
    let directory = std::path::Path::new(&binary).parent().unwrap().display().to_string();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env_clear().current_dir(&set.root);
    shell.envs(larder.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = std::env::var("PATH").unwrap();
    run(shell.env("PATH", format!("{directory}:{path}")))
}

#[test]
fn filters_leave_what_they_say() {
    let (set, base, candidate) = two_runs();
    let server = Server::of(&set);
    let path = format!("/compare?base={base}&candidate={candidate}");
    let ask = |query: &str| server.get(&format!("/api{path}&{query}")).ok().json();
    let all = ask("");
    assert_eq!((&all["total"], &all["found"], &all["pages"]), (&7.into(), &7.into(), &1.into()));
    // Each choice says how many rows it leaves.
    let choices = all["choices"].as_object().unwrap();
    let keys: Vec<&str> = choices.keys().map(String::as_str).collect();
    assert_eq!(keys, ["category", "change", "compiler", "differ", "maintainer"]);
    for (key, values) in choices {
        for (value, count) in values.as_object().unwrap() {
            let left = ask(&format!("{key}={value}"));
            assert_eq!((&left["found"], &left["total"]), (count, &7.into()), "{key}={value}");
            assert_eq!(left["counts"], all["counts"], "the results are the same");
        }
    }
    assert_eq!(rows(&ask("q=V8SI")), ["picky.1.0"], "text in the error");
    assert_eq!(rows(&ask("q=user")), ["user.1.0"], "text in the name");
    assert_eq!(rows(&ask("change=still-failing")), ["broken.1.0"]);
    assert_eq!(rows(&ask("maintainer=bo@example.org")), ["broken.1.0"]);
    assert_eq!(rows(&ask("category=dependency_failure")), ["user.1.0"]);
    assert_eq!(rows(&ask("differ=yes")), ["picky.1.0", "user.1.0"]);
    // One cell has all that is asked for.
    assert_eq!(rows(&ask("compiler=cc.1&change=new-failure")), ["worse.1.0"]);
    assert_eq!(
        rows(&ask("compiler=gcc.1&change=new-failure")),
        ["picky.1.0", "user.1.0", "worse.1.0"]
    );
    let sorted = ask("sort=blocks");
    let blocks: Vec<u64> = sorted["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["unblocksPackages"].as_u64().unwrap())
        .collect();
    assert!(blocks.is_sorted_by(|a, b| a >= b) && blocks[0] == 1, "{blocks:?}");
    assert_eq!(ask("maintainer=ana@example.org")["reproduce"], "larder rerun picky.1.0");
    assert_eq!(ask("maintainer=bo@example.org")["reproduce"], Value::Null);
    assert_eq!(rows(&ask("page=2")), [""; 0]);

    // The form has what is asked for, and says the rest in fields of its own.
    let page = server.get(&format!("{path}&change=fixed&q=mend&sort=blocks&differ=")).ok();
    for part in [
        "<form class=\"filter\" action=\"/compare\" method=\"get\"",
        &format!("<input type=\"hidden\" name=\"base\" value=\"{base}\">"),
        &format!("<input type=\"hidden\" name=\"candidate\" value=\"{candidate}\">"),
        "name=\"q\" value=\"mend\"",
        "<option value=\"fixed\" selected>",
        "<option value=\"blocks\" selected>",
        "1 of 7 rows",
    ] {
        assert!(page.text().contains(part), "no {part}: {}", page.text());
    }
    // What is none is refused, with what there is.
    for (query, help) in [
        ("change=same", "changes are new-failure, still-failing, fixed, added, removed"),
        ("differ=1", "values are yes"),
        ("sort=name", "orders are change, blocks"),
        ("page=0", "pages count from 1"),
    ] {
        for address in [format!("{path}&{query}"), format!("/api{path}&{query}")] {
            let answer = server.get(&address);
            assert_eq!(answer.status, 400, "{address}");
            assert!(answer.text().contains(help), "{address}: {}", answer.text());
        }
    }
}

#[test]
fn many_rows_stand_on_pages_of_their_own() {
    const ROWS: usize = 230;
    let set = Set::new(&[Package::new("plain.1.0")]);
    set.larder(&["batch"]).ok();
    let base = set.last_run();
    let mut text = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    // Nothing fits together: there is nothing to build.
    for number in 0..ROWS {
        text += &format!(
            "[package.\"p{number}.1.0\"]\nsource = {{ path = \"sources/it\" }}\n\
             dependencies = {{ nowhere = \"1\" }}\nbuild = [\"true\"]\n\n"
        );
    }
    set.file("sources/it/README", "it");
    set.file("larder-set.toml", &text);
    set.larder(&["batch"]).ends_with(1);
    let path = format!("/compare?base={base}&candidate={}", set.last_run());
    let server = Server::of(&set);
    let page = server.get(&path).ok();
    assert!(page.text().contains("230 of 230 rows, page 1 of 2"), "{}", page.text());
    assert!(page.text().contains("&amp;page=2\">after"), "{}", page.text());
    let ask = |query: &str| server.get(&format!("/api{path}{query}")).ok().json();
    let (first, second) = (rows(&ask("")), rows(&ask("&page=2")));
    assert_eq!((first.len(), second.len()), (200, 30));
    let all: BTreeSet<&String> = first.iter().chain(&second).collect();
    assert_eq!(all.len(), ROWS);
}

/// The answer about a run that compared.
fn comparison(server: &Server, run: &str, query: &str) -> Value {
    let run = server.get(&format!("/api/runs/{run}{query}")).ok().json();
    run["comparison"].clone()
}

#[test]
fn verdicts_of_two_compilers_have_evidence_and_a_command_each() {
    let (set, ..) = two_runs();
    set.larder(&["batch", "-j", "2", "--compare", "cc.1", "gcc.1"]).ends_with(1);
    let compared = set.last_run();
    let server = Server::of(&set);
    let ask = |query: &str| comparison(&server, &compared, query);
    let all = ask("");
    assert_eq!(all["compilers"], serde_json::json!([]), "the sides are compilers");
    assert_eq!(rows(&all), ["picky.1.0", "user.1.0", "broken.1.0", "worse.1.0"]);
    let page = server.get(&format!("/runs/{compared}")).ok();
    for part in [
        "<th scope=\"col\">cc.1</th><th scope=\"col\">gcc.1</th>",
        "10 of 10 worked",
        "0 of 10 worked <a href",
        "<h3>Regressed</h3>",
        "<h3>Broken before, and still failing</h3>",
        "because of <a href=\"/packages/picky.1.0\">",
    ] {
        assert!(page.text().contains(part), "no {part}: {}", page.text());
    }
    for (key, values) in all["choices"].as_object().unwrap() {
        for (value, count) in values.as_object().unwrap() {
            assert_eq!(&ask(&format!("?{key}={value}"))["found"], count, "{key}={value}");
        }
    }
    assert_eq!(rows(&ask("?verdict=regressed")), ["picky.1.0"]);
    assert_eq!(rows(&ask("?q=V8si&maintainer=ana@example.org")), ["picky.1.0"]);
    assert_eq!(rows(&ask("?differ=yes")), ["picky.1.0", "user.1.0"]);
    assert_eq!(rows(&ask("?category=dependency_failure&sort=blocks")), ["user.1.0"]);
    let wrong = server.get(&format!("/api/runs/{compared}?verdict=same"));
    let help = "verdicts are regressed, fixed, flaky, unknown, broken-before";
    assert_eq!((wrong.status, wrong.text().contains(help)), (400, true), "{}", wrong.text());

    // The command comes to the same verdict.
    let command = all["rows"][0]["reproduce"].as_str().unwrap();
    assert_eq!(command, "larder batch --compare cc.1 gcc.1 picky.1.0");
    assert_eq!(all["reproduce"], command, "nothing else regressed");
    typed(&set, command).ends_with(1).says("1 regressed of 1 package");
}

#[test]
fn verdicts_of_two_revisions_have_a_column_for_each_compiler() {
    let set = Set::new(&[picky("picky.1.0"), picky("other.1.0")]);
    set.append(GCC);
    let base = set.commit();
    set.file("sources/picky.1.0/README", "bad");
    let candidate = set.commit();
    set.larder(&["batch", "--no-sandbox", "--compare", "HEAD~1", "HEAD"]).ends_with(1);
    let compared = set.last_run();
    let server = Server::of(&set);
    let found = comparison(&server, &compared, "");
    assert_eq!(found["compilers"], serde_json::json!(["cc.1", "gcc.1"]));
    assert_eq!(rows(&found), ["picky.1.0"]);
    let verdicts = cells(&found, "picky.1.0", "verdict");
    assert_eq!(verdicts, [("cc.1", "same"), ("gcc.1", "regressed")].into());
    assert_eq!(rows(&comparison(&server, &compared, "?compiler=gcc.1&differ=yes")), ["picky.1.0"]);
    assert_eq!(rows(&comparison(&server, &compared, "?compiler=cc.1")), [""; 0]);
    let page = server.get(&format!("/runs/{compared}")).ok();
    let columns = "<th scope=\"col\">cc.1</th><th scope=\"col\">gcc.1</th>";
    assert!(page.text().contains(columns), "{}", page.text());
    // Commits are named: branches move.
    let command = found["rows"][0]["reproduce"].as_str().unwrap();
    let sides = [&base[..12], &candidate[..12]].join(" ");
    assert_eq!(command, format!("larder batch --no-sandbox --compare {sides} picky.1.0"));
    set.file("sources/other.1.0/README", "bad");
    set.commit();
    typed(&set, command).ends_with(1).says("1 regressed");

    // A checkout in the place of a package, wherever it is.
    let odd = set.outside().join("it's $HOME & \u{202e}more");
    larder_testkit::files::write(&odd.join("README"), "bad");
    set.file("sources/picky.1.0/README", "good");
    set.larder(&["batch", "--what-if", &format!("picky={}", odd.display())]).ends_with(1);
    let found = comparison(&server, &set.last_run(), "");
    let command = found["reproduce"].as_str().unwrap();
    assert!(command.starts_with("larder batch --what-if 'picky.1.0="), "{command}");
    let page = server.get(&format!("/runs/{}", set.last_run())).ok();
    assert!(page.text().contains("$HOME &amp; "), "{}", page.text());
    assert!(!page.text().contains('\u{202e}'), "it may read backwards");
    typed(&set, command).ends_with(1).says("1 regressed");
}

/// A package that is built twice with each compiler, and that gcc does not build with the older of two libraries.
fn in_two_universes() -> Set {
    let set = Set::new(&[
        Package::new("lib.1.0"),
        Package::new("lib.2.0"),
        Package::new("mid.1.0").needs("lib", "*").line(
            "case \"$CC\" in gcc*) grep -q 2 {prefix:lib}/share/it || { e=error; echo \"a.c:1:1: $e: old\"; exit 1; };; esac",
        ),
        Package::new("app.1.0").needs("lib", "1").needs("mid", "1"),
    ]);
    set.append(GCC);
    set
}

#[test]
fn a_failure_in_one_universe_is_neither_new_nor_fixed_when_nothing_changes() {
    let set = in_two_universes();
    let mut runs = Vec::new();
    for edit in 0..6 {
        // Builds have other names each time.
        set.file("sources/mid.1.0/README", &format!("edit {edit}"));
        set.larder(&["batch"]).ends_with(1);
        runs.push(set.last_run());
    }
    let server = Server::of(&set);
    for two in runs.windows(2) {
        let path = format!("/api/compare?base={}&candidate={}", two[0], two[1]);
        let compare = server.get(&path).ok().json();
        let counts = &compare["counts"];
        assert_eq!((&counts["newFailures"], &counts["fixed"]), (&0.into(), &0.into()), "{counts}");
        assert_eq!(cells(&compare, "mid.1.0", "change")["gcc.1"], "still-failing");
    }
    // It failed from the first on, and never worked.
    let package = server.get("/api/packages/mid.1.0").ok().json();
    let first = &package["firstFailures"][0];
    assert_eq!(first["run"], *runs[0], "{first}");
    assert_eq!((&first["workedIn"], &first["changed"]), (&Value::Null, &Value::Null), "{first}");
}

#[test]
fn what_a_run_did_not_come_to_is_neither_new_nor_gone() {
    let set = Set::new(&[
        Package::new("bad.1.0").line("e=error; echo \"a.c:1:1: $e: bad\"; exit 1"),
        Package::new("good.1.0"),
        Package::new("base.1.0").line("while test -e wait; do sleep 0.05; done"),
        Package::new("late.1.0")
            .needs("base", "1")
            .line("e=error; echo \"a.c:1:1: $e: late\"; exit 1"),
    ]);
    set.larder(&["batch"]).ends_with(1);
    let whole = set.last_run();
    set.larder(&["rerun", "bad"]).ends_with(1);
    let part = set.last_run();
    let server = Server::of(&set);
    // Killed while it waits for what the others need.
    set.file("sources/base.1.0/wait", "");
    let mut killed = spawn(set.command(&["batch", "-q"]));
    let state = || server.get("/api/overview").ok().json();
    while state()["running"][0]["packages"][0]["log"].is_null() {}
    killed.kill().unwrap();
    killed.wait().unwrap();
    let died = set.last_run();
    fs::remove_file(set.root.join("sources/base.1.0/wait")).unwrap();
    let path = format!("/api/compare?base={died}&candidate={whole}");
    let counts = server.get(&path).ok().json()["counts"].clone();
    let new = ["newFailures", "added", "removed"].map(|what| counts[what].clone());
    assert_eq!(new, [0, 0, 0].map(Value::from), "{counts}");
    assert!(counts["unreached"].as_u64() >= Some(2), "{counts}");

    for (base, candidate) in [(&whole, &part), (&part, &whole)] {
        let path = format!("/compare?base={base}&candidate={candidate}");
        let compare = server.get(&format!("/api{path}")).ok().json();
        let count = |what: &str| compare["counts"][what].as_u64().unwrap();
        assert_eq!(
            (count("newFailures"), count("removed"), count("added")),
            (0, 0, 0),
            "{compare}"
        );
        assert_eq!(
            (count("stillFailing"), count("unreached"), count("total")),
            (1, 3, 4),
            "{compare}"
        );
        assert_eq!(rows(&compare), ["bad.1.0"]);
        let page = server.get(&path).ok();
        assert!(page.text().contains("Of 3 one run says nothing"), "{}", page.text());
    }
}
