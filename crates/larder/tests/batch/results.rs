//! What fails, what that blocks, and how it gets better.

use std::fs;

use larder_runs::{gc::References, graph, result::Stage};

use serde_json::Value;

use super::support::{Package, Set, counts_up, of_kind};

/// A package that works only while a file in its sources says so.
fn fragile(name: &'static str) -> Package {
    Package::new(name).line("grep -q good state")
}

#[test]
fn a_failure_blocks_what_needs_it_and_nothing_else() {
    let set = Set::new(&[
        fragile("root.1.0"),
        Package::new("middle.1.0").needs("root", "1"),
        Package::new("leaf.1.0").needs("middle", "1").needs("other", "1"),
        Package::new("other.1.0"),
        Package::new("lost.1.0").needs("nowhere", "1"),
        Package::new("picky.1.0").needs("other", "2"),
    ]);
    set.file("sources/root.1.0/state", "bad");
    let run = set.larder(&["batch", "--json"]).ends_with(1);
    let finished = of_kind(&run.events(), "finished");
    assert_eq!(finished.len(), 1, "{run:?}");
    let packages = &finished[0]["packages"];
    for (what, count) in
        [("total", 6), ("worked", 1), ("failed", 1), ("blocked", 2), ("unsolved", 2)]
    {
        assert_eq!(packages[what], count, "{what} of {packages}");
    }
    assert_eq!(set.last("root.1.0"), "build_failure built");
    assert_eq!(set.last("leaf.1.0"), "dependency_failure skipped");
    assert_eq!(set.last("lost.1.0"), "no_solution built");
    // What is not tried again is not told as news.
    let again = set.larder(&["batch"]).ends_with(1);
    again.mentions(&["still failing root.1.0 with cc.1: build_failure"]);
    let leaf = set.latest("leaf.1.0").pop().unwrap().result;
    assert_eq!(leaf.failed_dependencies[0].package.as_str(), "middle.1.0");
    assert_eq!(leaf.root_failures[0].package.as_str(), "root.1.0");
    assert!(leaf.root_failures[0].build_hash.is_some());
    set.larder(&["failures", "--roots"]).ok().mentions(&["fixing root.1.0 unblocks 2 packages"]);
    set.larder(&["log", "picky"]).ok().mentions(&["other"]);

    // The same again fails without being tried.
    set.larder(&["batch"]).ends_with(1);
    assert_eq!(set.last("root.1.0"), "build_failure cached");
    // Mended, all that it blocked is built.
    set.file("sources/root.1.0/state", "good");
    set.larder(&["batch", "root"]).ok();
    set.larder(&["failures", "--roots"]).ok().mentions(&["works again"]);
    set.larder(&["cascade"]).ok().says("4 of 4 packages work");
    assert_eq!(set.last("leaf.1.0"), "success built");
    set.larder(&["cascade"]).ok().says("nothing waits");
}

#[test]
fn a_run_of_some_packages_moves_nothing_that_news_are_relative_to() {
    let set = Set::new(&[fragile("root.1.0"), Package::new("leaf.1.0").needs("root", "1")]);
    for (state, ends) in [("good", 0), ("bad", 1)] {
        set.file("sources/root.1.0/state", state);
        set.larder(&["batch"]).ends_with(ends);
    }
    set.file("sources/root.1.0/state", "good, in another way");
    set.larder(&["batch", "root"]).ok();
    set.larder(&["batch"]).ok();
    let changes = set.larder(&["changes", "--json"]).ok().events();
    let changes = changes.iter().filter(|it| it["stage"] == "build" && it["toStatus"] == "success");
    let better: Vec<&str> = changes.map(|it| it["package"].as_str().unwrap()).collect();
    assert_eq!(better, ["leaf.1.0", "root.1.0"], "broken in the full run before the last");
    let runs = set.larder(&["runs", "--json"]).ok().events();
    let kinds: Vec<&str> = runs.iter().filter_map(|it| it["info"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["full", "rerun", "full", "full"]);
}

#[test]
fn results_tell_how_long_a_package_waited_for_its_turn() {
    let slow = |name| Package::new(name).line("sleep 0.2");
    let set = Set::new(&[slow("a.1.0"), slow("b.1.0"), slow("on-b.1.0").needs("b", "1")]);
    set.larder(&["batch", "-j", "1"]).ok();
    let result = |package| set.latest(package).pop().unwrap().result;
    let (a, b, on_b) = (result("a.1.0"), result("b.1.0"), result("on-b.1.0"));
    let (first, second) = if a.start < b.start { (&a, &b) } else { (&b, &a) };
    assert!(second.queued_ms >= first.wall_ms, "{second:?} after {first:?}");
    assert!(first.queued_ms < second.queued_ms, "{first:?} before {second:?}");
    // It could not begin before what it needs was there. Both are cut to milliseconds.
    let between = on_b.start.duration_since(b.end).as_millis() as u64;
    assert!(on_b.queued_ms.is_some_and(|queued| queued <= between + 1), "{on_b:?} after {b:?}");
    // Nothing is queued that is there.
    set.larder(&["batch", "-j", "1"]).ok();
    assert_eq!(result("a.1.0").queued_ms, None);
}

#[test]
fn each_compiler_has_a_result_where_there_is_no_solution() {
    let set = Set::new(&[Package::new("picky.1.0").needs("nowhere", "1"), Package::new("it.1.0")]);
    set.append("\n[compiler.\"other.1\"]\ncc = \"cc\"\ncxx = \"c++\"\n");
    for _ in 0..2 {
        let run = set.larder(&["batch", "--json"]).ends_with(1);
        let results = of_kind(&run.events(), "result");
        let unsolved = results.iter().filter(|it| it["package"] == "picky.1.0");
        let compilers: Vec<&str> = unsolved.map(|it| it["compiler"].as_str().unwrap()).collect();
        assert_eq!(compilers, ["cc.1", "other.1"]);
        let packages = &of_kind(&run.events(), "finished")[0]["packages"];
        assert_eq!((&packages["worked"], &packages["unsolved"]), (&1.into(), &1.into()));
    }
    set.larder(&["failures"]).ok().mentions(&["picky.1.0"]);
}

#[test]
fn layers_that_name_their_place_are_used_by_later_runs() {
    let names_place = "mkdir -p {prefix}/lib; echo prefix={prefix} > {prefix}/lib/z.pc";
    let set = Set::new(&[
        Package::new("zlib.1.0").line(names_place),
        Package::new("png.1.0").needs("zlib", "1").line("cat {prefix:zlib}/lib/z.pc"),
    ]);
    set.larder(&["batch"]).ok();
    set.file("sources/png.1.0/README", "changed");
    set.larder(&["batch"]).ok().says("2 of 2 packages work");
    assert_eq!(set.last("zlib.1.0"), "success cached");
    assert_eq!(set.last("png.1.0"), "success built");
}

#[test]
fn lines_count_up_to_all_that_there_is_to_do() {
    let after = |name| Package::new(name).needs("root", "1").test("true");
    let good = |name| Package::new(name).test("true");
    let set = Set::new(&[
        Package::new("root.1.0").line("exit 1"),
        after("a.1.0"),
        after("b.1.0"),
        after("c.1.0"),
        good("d.1.0"),
        good("e.1.0"),
        good("f.1.0"),
    ]);
    let run = set.larder(&["batch", "-j", "4"]).ends_with(1);
    counts_up(&run);
    // Tests of what was not built are over, too.
    run.mentions(&["/13] blocked c.1.0 with cc.1 by root.1.0"]);
}

#[test]
fn a_cached_failure_is_tried_again_when_somebody_asks() {
    // It works the second time, though nothing that it knows of has changed.
    let set = Set::with_file("");
    let state = set.outside().join("second");
    let line = format!("test -e {0} || {{ touch {0}; exit 1; }}", state.display());
    set.write(&[Package::new("moody.1.0").line(line)]);
    set.larder(&["batch", "--no-sandbox"]).ends_with(1);
    set.larder(&["batch", "--no-sandbox"]).ends_with(1);
    assert_eq!(set.last("moody.1.0"), "build_failure cached");
    set.larder(&["rerun", "moody", "--no-sandbox"]).ok();
    assert_eq!(set.last("moody.1.0"), "success built");
    set.larder(&["rerun"]).ends_with(2);
}

#[test]
fn weather_is_tried_again_and_each_attempt_is_recorded() {
    let set = Set::with_file("");
    let state = set.outside().join("second");
    let line = format!(
        "test -e {0} || {{ touch {0}; echo 'curl: (6) Could not resolve host: x'; exit 6; }}",
        state.display()
    );
    set.write(&[Package::new("rainy.1.0").line(line)]);
    let run = set.larder(&["batch", "--no-sandbox", "--json"]).ok();
    let results = of_kind(&run.events(), "result");
    let seen: Vec<String> = results
        .iter()
        .map(|it| {
            format!("{} {}", it["category"].as_str().unwrap(), it["log"]["path"].as_str().unwrap())
        })
        .collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].starts_with("network ") && seen[0].ends_with(".build.1.log"), "{seen:?}");
    assert!(seen[1].starts_with("success ") && seen[1].ends_with(".build.2.log"), "{seen:?}");
}

#[test]
fn tests_are_a_stage_of_their_own() {
    let set = Set::new(&[
        Package::new("good.1.0").test("grep good {prefix}/share/it"),
        Package::new("bad.1.0").test("echo 'FAIL: one of the tests'").test("false"),
        Package::new("user.1.0").needs("bad", "1"),
    ]);
    let run = set.larder(&["batch", "--json"]).ends_with(1);
    let results = of_kind(&run.events(), "result");
    let tests: Vec<_> = results.iter().filter(|it| it["stage"] == "test").collect();
    assert_eq!(tests.len(), 2);
    assert_eq!(set.last("user.1.0"), "success built", "a test that fails blocks nobody");
    let tested = set.latest("bad.1.0").pop().unwrap().result;
    assert_eq!(tested.category.name(), "test_failure");
    set.larder(&["batch"]).ends_with(1).says("3 of 3 packages work, 1 test failed in");
    assert_eq!(set.last("bad.1.0"), "test_failure cached");
}

#[test]
fn documentation_is_published_and_stays_when_it_fails() {
    let set = Set::new(&[
        Package::new("good.1.0").docs("cat README > {docs}/index.html"),
        Package::new("good.1.9").docs("cat README > {docs}/index.html"),
    ]);
    set.larder(&["batch"]).ok();
    let page = set.data.html().join("p/good/1.9/index.html");
    assert_eq!(fs::read_to_string(&page).unwrap(), "good.1.9");
    let index = fs::read_to_string(set.data.html().join("index.html")).unwrap();
    let at = |version: &str| index.find(&format!("p/good/{version}/")).unwrap();
    assert!(at("1.9") < at("1.0"), "the newest version comes first: {index}");
    assert!(!index.contains('\\') && index.ends_with("</html>\n"), "{index}");

    // Pages that somebody has removed are made again, and those that are being made are in no index.
    fs::remove_dir_all(page.parent().unwrap()).unwrap();
    fs::create_dir_all(set.data.html().join("p/good/.2.0.new")).unwrap();
    set.larder(&["batch"]).ok();
    assert_eq!(fs::read_to_string(&page).unwrap(), "good.1.9");
    assert_eq!(fs::read_to_string(set.data.html().join("index.html")).unwrap(), index);

    set.write(&[Package::new("good.1.9").docs("echo half > {docs}/index.html").docs("false")]);
    set.larder(&["batch"]).ends_with(1).says("1 documentation build failed");
    assert_eq!(fs::read_to_string(&page).unwrap(), "good.1.9", "the old page stands");
    let entries = set.latest("good.1.9");
    let documented = entries.iter().rfind(|entry| entry.result.stage == Stage::Doc).unwrap();
    assert_eq!(documented.result.category.name(), "doc_compile_failure");
}

#[test]
fn a_compiler_that_is_not_there_is_said() {
    let set = Set::new(&[Package::new("a.1.0")]);
    set.append("[compiler.\"none.1\"]\ncc = \"no-such-cc\"\ncxx = \"no-such-cxx\"\n");
    for arguments in [&["batch"][..], &["batch", "--dry-run"]] {
        let said = set.larder(arguments);
        let said = said.ends_with(2);
        assert!(said.stderr.contains("the compiler none.1: "), "{}", said.stderr);
        assert!(said.stderr.contains("no-such-c"), "{}", said.stderr);
        assert!(said.stderr.contains("install it, or say in larder-set.toml"), "{}", said.stderr);
    }
    assert!(!set.data.root().join("runs").exists(), "there was no run");
}

/// With several compilers, a package has builds that are not blessed: these are mended as well.
#[test]
fn what_is_mended_with_one_compiler_is_mended_with_the_other() {
    let broken = [Package::new("a.1.0").line("exit 1"), Package::new("b.1.0").needs("a", "1")];
    let set = Set::new(&broken);
    let gcc = "[compiler.\"gcc.1\"]\ncc = \"gcc\"\ncxx = \"g++\"\n";
    set.append(gcc);
    set.larder(&["batch"]).ends_with(1);
    set.write(&[Package::new("a.1.0").line("true"), Package::new("b.1.0").needs("a", "1")]);
    set.append(gcc);
    set.larder(&["rerun", "a.1.0"]).ok();
    let waits = set.larder(&["status", "--failing"]).ok();
    assert!(!waits.stdout.contains("a.1.0"), "{}", waits.stdout);
    set.larder(&["failures", "--roots"]).ok().mentions(&["a.1.0", "mended"]);
    set.larder(&["cascade"]).ok();
    assert_eq!(set.last("b.1.0"), "success built");
    set.larder(&["cascade"]).ok().says("nothing waits for a package that works again");
    set.larder(&["status"]).ok().mentions(&["2 of 2 work"]);
    assert_eq!(set.larder(&["failures"]).ok().stdout, "");
}

#[test]
fn what_a_limit_stopped_is_tried_again_when_there_is_more() {
    let set = Set::new(&[
        Package::new("loud.1.0").line("yes it is | head -c 200000"),
        Package::new("quiet.1.0"),
    ]);
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    let limit = |log| set.file("larder-set.toml", &format!("{file}\n[limits]\nlog = \"{log}\"\n"));
    limit("64 KiB");
    set.larder(&["batch"]).ends_with(1);
    assert_eq!(set.last("loud.1.0"), "log_limit built");
    set.larder(&["batch"]).ends_with(1);
    assert_eq!(set.last("loud.1.0"), "log_limit cached");
    set.larder(&["batch"]).ends_with(1);
    let foreseen = || {
        let run = set.larder(&["batch", "--dry-run", "--json"]).ok();
        of_kind(&run.events(), "outlook")[0]["wouldBe"].as_str().unwrap().to_owned()
    };
    assert_eq!(foreseen(), "failed");
    limit("1 MiB");
    assert_eq!(foreseen(), "built");
    set.larder(&["batch"]).ok();
    assert_eq!(set.last("loud.1.0"), "success built");
    // What worked has nothing to do with limits.
    assert_eq!(set.last("quiet.1.0"), "success cached");
}

#[test]
fn commands_run_again_when_the_machine_is_another() {
    let set = Set::new(&[Package::new("tool.1.0"), Package::new("user.1.0").needs("tool", "1")]);
    set.file("packages/hi/larder.toml", "[package]\nname = \"hi\"\nversion = \"2.0\"\n\n[[library]]\nname = \"hi\"\nsources = [\"hi.c\"]\n");
    set.file("packages/hi/hi.c", "int hi(void) { return 1; }\n");
    let status = set.outside().join("status");
    fs::write(&status, "libssl 3.0.1").unwrap();
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    let system = |path: &str| {
        let head = format!("[set]\npackages = [\"packages/*\"]\nsystem = [\"{path}\"]\n\n");
        set.file("larder-set.toml", &(head + &file));
    };
    system(status.to_str().unwrap());
    set.larder(&["batch"]).ok();
    set.larder(&["batch"]).ok();
    assert_eq!(set.last("user.1.0"), "success cached");
    fs::write(&status, "libssl 3.0.2").unwrap();
    set.larder(&["batch"]).ok();
    for (package, last) in [("tool.1.0", "built"), ("user.1.0", "built"), ("hi.2.0", "cached")] {
        assert_eq!(set.last(package), format!("success {last}"), "{package}");
    }
    // As it was before, it is there.
    fs::write(&status, "libssl 3.0.1").unwrap();
    set.larder(&["batch"]).ok();
    assert_eq!(set.last("user.1.0"), "success cached");

    fs::remove_file(&status).unwrap();
    set.larder(&["batch"]).ends_with(2).says("cannot read").says("larder-set.toml:3");
    system("status");
    set.larder(&["batch"]).ends_with(2).says("`status` is no absolute path");
}

#[test]
fn a_return_to_what_failed_is_foreseen() {
    let set = Set::new(&[fragile("root.1.0")]);
    let state = |text: &str| set.file("sources/root.1.0/state", text);
    state("bad");
    set.larder(&["batch"]).ends_with(1);
    state("good");
    set.larder(&["batch"]).ok();
    state("bad");
    let run = set.larder(&["batch", "--dry-run", "--json"]).ok();
    let outlook = &of_kind(&run.events(), "outlook")[0];
    assert_eq!(outlook["because"], "just the same has failed: build_failure");
    assert_eq!(outlook["wouldBe"], "failed");
    set.larder(&["batch"]).ends_with(1);
    assert_eq!(set.last("root.1.0"), "build_failure cached");
}

/// What a dry run says: package, stage, what would become of it, and why.
fn foreseen(set: &Set, arguments: &[&str]) -> Vec<String> {
    let run = set.larder(&[arguments, &["--dry-run", "--json"]].concat()).ok();
    let word = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let line = |event: &Value| {
        ["package", "stage", "wouldBe", "because"].map(|key| word(event, key)).join(" ")
    };
    of_kind(&run.events(), "outlook").iter().map(line).collect()
}

#[test]
fn tests_and_documentation_are_foreseen() {
    let write = "mkdir -p {docs}; cp README {docs}/index.html";
    let base = Package::new("base.1.0").docs(write);
    let reader =
        Package::new("reader.1.0").needs("base", "1").docs(format!("{write}; ls {{docs:base}}"));
    let picky = |test: &str| Package::new("picky.1.0").test(test);
    let packages = |test: &str| [base.clone(), reader.clone(), picky(test)];
    let set = Set::new(&packages("exit 1"));
    // Stages of what would be built go without saying.
    let never =
        ["base.1.0 build built it was never built", "reader.1.0 build built it needs base.1.0"];
    let all = foreseen(&set, &["batch"]);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(never.iter().all(|line| all.iter().any(|it| it == line)), "{all:?}");
    set.larder(&["batch"]).ends_with(1);
    let again = "picky.1.0 test failed just the same has failed: test_failure";
    assert_eq!(foreseen(&set, &["batch"]), [again]);
    assert_eq!(
        foreseen(&set, &["rerun", "picky"]),
        ["picky.1.0 test tested it is asked for again"]
    );
    let asked = "reader.1.0 doc documented it is asked for again";
    assert_eq!(foreseen(&set, &["rerun", "reader"]), [asked]);
    set.larder(&["batch", "--dry-run"]).ok().mentions(&["just the same has failed: test_failure"]);

    fs::remove_dir_all(set.data.html().join("p/base")).unwrap();
    let gone = [
        "base.1.0 doc documented its pages are gone",
        "reader.1.0 doc documented it needs base.1.0",
    ];
    let docs: Vec<String> =
        foreseen(&set, &["batch"]).into_iter().filter(|it| it.contains(" doc ")).collect();
    assert_eq!(docs, gone);
    set.larder(&["batch"]).ends_with(1);
    assert_eq!(foreseen(&set, &["batch"]), [again]);
    set.write(&packages("true"));
    set.larder(&["batch"]).ok();
    assert_eq!(foreseen(&set, &["batch"]), [""; 0]);
    set.larder(&["batch", "--dry-run"]).ok().says("nothing is to be done");
}

#[test]
fn a_run_says_who_needs_whom() {
    let set = Set::new(&[
        Package::new("leaf.1.0").needs("middle", "1"),
        Package::new("middle.1.0").needs("root", "1"),
        Package::new("root.1.0"),
    ]);
    let data = &set.data;
    let told = || References::read(&data.runs().join(set.last_run())).unwrap().graph.unwrap();
    set.larder(&["batch"]).ok();
    let first = told();
    let graph = graph::read(data, &first).unwrap();
    let names = |at: &[u32]| -> Vec<&str> {
        at.iter().map(|&at| graph.builds[at as usize].package.as_str()).collect()
    };
    let needs = |package: &str| {
        let node = graph.builds.iter().find(|node| node.package.as_str() == package).unwrap();
        assert!(node.blessed);
        let built = set.latest(package).into_iter().find(|it| it.result.stage == Stage::Build);
        assert_eq!(built.unwrap().result.build_hash.as_ref(), Some(&node.build_hash));
        names(&node.needs)
    };
    assert_eq!((needs("leaf.1.0"), needs("middle.1.0")), (vec!["middle.1.0"], vec!["root.1.0"]));
    assert!(needs("root.1.0").is_empty());

    // The same set has the same graph, whatever a run is about; another set has another.
    set.larder(&["batch", "root"]).ok();
    assert_eq!(told(), first);
    set.file("sources/middle.1.0/README", "changed");
    set.larder(&["batch"]).ok();
    assert_ne!(told(), first);
    let graphs = || fs::read_dir(data.graphs()).unwrap().count();
    assert_eq!(graphs(), 2);
    // It goes with the last run that names it.
    set.larder(&["gc", "--keep-runs", "1"]).ok();
    assert_eq!(graphs(), 1);
    assert!(graph::read(data, &told()).is_some());
}

/// Sources that somebody edits while another package is built with them, and changes back, are nowhere in what is made.
#[test]
fn what_is_edited_and_changed_back_meanwhile_is_in_no_layer() {
    let set = Set::with_file("");
    let compiler = set.outside().join("cc");
    let file = format!(
        "set.packages = [\"packages/*\"]\n[compiler.\"cc.1\"]\ncc = \"{}\"\n",
        compiler.display()
    );
    set.file("larder-set.toml", &file);
    let header = set.root.join("packages/base/base.h");
    let script = format!(
        "case \" $* \" in *' mid.c '*) sed -i s/7/8/ {0}; gcc \"$@\"; r=$?; sed -i s/8/7/ {0}; exit $r;; esac\nexec gcc \"$@\"\n",
        header.display()
    );
    larder_testkit::files::script(&compiler, &script);
    set.file("packages/base/base.h", "#define V 7\n");
    set.file("packages/base/larder.toml", "[package]\nname = \"base\"\nversion = \"1\"\n[[library]]\nname = \"base\"\nheaders = [\"base.h\"]\nincludes = [\".\"]\n");
    set.file("packages/mid/mid.c", "#include \"base.h\"\nint main(void) { return V; }\n");
    set.file("packages/mid/larder.toml", "[package]\nname = \"mid\"\nversion = \"1\"\n[dependencies]\nbase = \"*\"\n[[executable]]\nname = \"mid\"\nsources = [\"mid.c\"]\nlibraries = [\"base/base\"]\n");
    set.larder(&["batch", "--no-sandbox"]).ok();
    let programs =
        set.layers().into_iter().map(|layer| set.data.layers().join(layer).join("bin/mid"));
    let programs: Vec<_> = programs.filter(|path| path.exists()).collect();
    assert!(!programs.is_empty());
    for program in programs {
        assert_eq!(std::process::Command::new(program).status().unwrap().code(), Some(7));
    }
}

/// What needs a package needs its build alone.
#[test]
fn a_package_whose_tests_fail_still_is_mended_for_what_needs_it() {
    let set = Set::new(&[
        fragile("root.1.0").test("exit 4"),
        Package::new("leaf.1.0").needs("root", "1"),
    ]);
    set.file("sources/root.1.0/state", "bad");
    set.larder(&["batch"]).ends_with(1);
    set.file("sources/root.1.0/state", "good");
    set.larder(&["rerun", "root"]).ends_with(1);
    set.larder(&["failures", "--roots"]).ok().mentions(&["mended"]);
    set.larder(&["cascade"]).ends_with(1);
    assert_eq!(set.last("leaf.1.0"), "success built");
}
