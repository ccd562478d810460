//! Laws of keys: what is declared changes them, nothing else does.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use larder_engine::{environment::Environment, toolchain::machine};
use larder_project::{
    ci::{
        context,
        key::{Image, Ingredients, Keyed, Keys},
        plan::{PlannedJob, Probe, github_outputs},
    },
    diagnostic::{Diagnostics, Located},
    setting::Choices,
};
use larder_testkit::files::{self, set_mode, set_modified};
use proptest::prelude::*;

fn keys(root: &Path) -> Result<Keys, Diagnostics> {
    keys_in(root, &Environment::of_process())
}

fn keys_in(root: &Path, environment: &Environment) -> Result<Keys, Diagnostics> {
    let keys = Keys::read(root, &Choices::default())?;
    let machine = machine(&keys, environment, Path::new("/nonexistent"))?;
    Ok(keys.on(machine))
}

fn key(root: &Path, ingredients: &Ingredients) -> Result<Keyed, Diagnostics> {
    larder_project::ci::key::key(&keys(root)?, ingredients)
}

fn job_key(root: &Path, name: &str) -> Result<Keyed, Diagnostics> {
    larder_project::ci::plan::job_key(&keys(root)?, name)
}

fn plan(root: &Path, probe: impl Fn(&str) -> Probe + Sync) -> Result<Vec<PlannedJob>, Diagnostics> {
    larder_project::ci::plan::plan(&keys(root)?, probe)
}
use tempfile::TempDir;

fn write(root: &Path, path: &str, content: &[u8]) {
    files::write(&root.join(path), content);
}

fn located(texts: &[&str]) -> Vec<Located<String>> {
    texts.iter().map(|text| Located { value: (*text).to_owned(), span: 0..0 }).collect()
}

const COMMIT: &str = "51b7f2abdade71cd9bb0e7a373ef2610ec6f9daf";

/// Files of a package `app` with a path dependency, a Git dependency and an image, by path.
fn package() -> BTreeMap<String, Vec<u8>> {
    let lock = format!(
        "version = 1\n[[package]]\nname = \"far\"\ngit = \"https://example.org/far\"\ncommit = \"{COMMIT}\"\n"
    );
    let files: &[(&str, &str)] = &[
        (
            "app/larder.toml",
            "[package]\nname = \"app\"\n[dependencies]\nnear = { path = \"../near\" }\n\
             far = { git = \"https://example.org/far\" }\n",
        ),
        ("app/larder.lock", &lock),
        ("app/src/a.c", "int a;\n"),
        ("app/src/deep/b.c", "int b;\r\n"),
        ("app/run.sh", "#!/bin/sh\n"),
        ("near/larder.toml", "[package]\nname = \"near\"\n"),
        ("near/near.c", "int near;\n"),
        ("app/image/Containerfile", "FROM scratch\nCOPY . /\n"),
        ("app/image/.containerignore", "# not copied\n*.log\n!keep.log\ntmp\n"),
        ("app/image/tool", "tool\n"),
        ("app/image/dir/data", "data\n"),
        ("app/image/keep.log", "kept\n"),
    ];
    files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

/// The files that do not count for the key of [`package`].
const IGNORED: &[&str] = &[
    "app/notes.txt",
    "app/src/.hidden",
    "app/.larder/build/x",
    "app/.git/HEAD",
    "near/.cache/x",
    "app/image/x.log",
    "app/image/tmp/y",
    "app/image/.git/index",
];

fn lay_out(root: &Path, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> PathBuf {
    for (path, content) in files {
        write(root, &path, &content);
    }
    root.join("app")
}

fn ingredients(app: &Path) -> Ingredients {
    Ingredients {
        inputs: located(&["src/**", "run.sh"]),
        image: Some(Image { context: app.join("image"), containerfile: None }),
        ..Ingredients::default()
    }
}

fn key_of(app: &Path) -> String {
    key(app, &ingredients(app)).unwrap().key
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_of_any_input_changes_the_key(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        change in 1u8..=255,
    ) {
        let temp = TempDir::new().unwrap();
        let files = package();
        let app = lay_out(temp.path(), files.clone());
        let before = key_of(&app);
        let (path, content) = files.iter().nth(file.index(files.len())).unwrap();
        let mut changed = content.clone();
        // Manifests and the lock file must stay what they are: something at their end will do, which
        // for a manifest is no comment.
        match path.rsplit('.').next() {
            Some("toml") => {
                changed.extend(format!("[ci.jobs.j{change}]\ninputs = [\"x\"]\n").bytes());
            }
            Some("lock" | "containerignore") => changed.extend([b'#', 0x20 + change % 0x5e]),
            _ => changed[at.index(content.len())] ^= change,
        }
        let full = temp.path().join(path);
        let written = fs::metadata(&full).unwrap().modified().unwrap();
        fs::write(&full, &changed).unwrap();
        // Not even when its time says that nothing was written.
        set_modified(&full, written);
        prop_assert_ne!(key_of(&app), before.clone(), "{}", path);
        fs::write(&full, content).unwrap();
        prop_assert_eq!(key_of(&app), before);
    }

    #[test]
    fn nothing_else_changes_it(
        order in Just(package().into_iter().collect::<Vec<_>>()).prop_shuffle(),
        age in 0u64..1_000_000_000,
        modes in prop::collection::vec(prop::sample::select(vec![0o644, 0o600, 0o664, 0o640]), 12),
        others in prop::sample::subsequence(IGNORED, 0..=IGNORED.len()),
    ) {
        let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let before = key_of(&lay_out(one.path(), package()));
        let app = lay_out(&other.path().join("else/where"), order.clone());
        for ((path, _), mode) in order.iter().zip(&modes) {
            let path = other.path().join("else/where").join(path);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(age);
            set_modified(&path, time);
            set_mode(&path, *mode);
        }
        for path in others {
            write(app.parent().unwrap(), path, b"anything");
        }
        for manifest in ["app/larder.toml", "near/larder.toml"] {
            let text = String::from_utf8(package()[manifest].clone()).unwrap();
            let rewritten = format!("# a comment\n\n{}", text.replace(" = ", "   ="));
            write(app.parent().unwrap(), manifest, rewritten.as_bytes());
        }
        fs::create_dir_all(app.join("image/empty")).unwrap();
        prop_assert_eq!(key_of(&app), before);
    }

    #[test]
    fn a_context_is_what_its_ignore_file_leaves(
        names in prop::collection::btree_set("[ab]{1,2}(/[ab]{1,2}){0,2}\\.[xy]", 1..8),
        patterns in prop::collection::vec("!?(\\*\\*/|\\*/|[ab]{1,2}/){0,2}(\\*|[ab]{1,2})?\\.[xy]|!?[ab]{1,2}|\\*", 0..5),
    ) {
        let temp = TempDir::new().unwrap();
        write(temp.path(), "Dockerfile", b"FROM scratch\n");
        write(temp.path(), ".dockerignore", patterns.join("\n").as_bytes());
        for name in &names {
            write(temp.path(), name, name.as_bytes());
        }
        let ignore = larder_project::ci::ignore::Ignore::parse(&patterns.join("\n")).unwrap();
        let hash = || context::trace(temp.path(), None).unwrap().hash();
        for name in &names {
            let before = hash();
            write(temp.path(), name, b"changed");
            prop_assert_eq!(hash() == before, ignore.leaves_out(name), "{} {:?}", name, patterns);
        }
    }
}

#[test]
fn what_is_added_removed_renamed_or_made_executable_changes_the_key() {
    let temp = TempDir::new().unwrap();
    let app = lay_out(temp.path(), package());
    let before = key_of(&app);
    let mut seen = vec![before.clone()];
    let mut changed = |what: &str| {
        let now = key_of(&app);
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    set_mode(&app.join("run.sh"), 0o755);
    changed("an executable input");
    set_mode(&app.join("image/tool"), 0o711);
    changed("an executable in the context");
    write(&app, "src/new.c", b"");
    changed("a new empty input");
    fs::rename(app.join("src/a.c"), app.join("src/c.c")).unwrap();
    changed("a renamed input");
    fs::remove_file(app.join("src/deep/b.c")).unwrap();
    changed("a removed input");
    write(&app, "../near/more.h", b"");
    changed("a file of a path dependency");
    symlink("tool", app.join("image/link")).unwrap();
    changed("a link in the context");
    fs::remove_file(app.join("image/link")).unwrap();
    symlink("dir", app.join("image/link")).unwrap();
    changed("where a link in the context leads");
    write(&app, "image/.containerignore", b"tmp\n");
    write(&app, "image/x.log", b"now it is copied");
    changed("a file that is no longer left out");
    let lock = fs::read_to_string(app.join("larder.lock")).unwrap();
    fs::write(app.join("larder.lock"), lock.replace("51b7", "51b8")).unwrap();
    changed("a pinned commit");
}

#[test]
fn a_link_counts_by_its_content_as_an_input() {
    let temp = TempDir::new().unwrap();
    write(temp.path(), "larder.toml", b"[package]\nname = \"a\"\n");
    write(temp.path(), "elsewhere/data", b"1");
    symlink("elsewhere/data", temp.path().join("data")).unwrap();
    let key = || {
        let inputs = located(&["data"]);
        key(temp.path(), &Ingredients { inputs, ..Ingredients::default() }).unwrap().key
    };
    let before = key();
    write(temp.path(), "elsewhere/data", b"2");
    assert_ne!(key(), before);
}

#[test]
fn the_order_of_inputs_does_not_count_and_tools_do() {
    let temp = TempDir::new().unwrap();
    let app = lay_out(temp.path(), package());
    let with = |inputs: &[&str], toolchain: bool| {
        let inputs = located(inputs);
        key(&app, &Ingredients { inputs, toolchain, ..Ingredients::default() }).unwrap().key
    };
    let before = with(&["src/**", "run.sh"], false);
    for same in [&["run.sh", "src/**", "src/a.c"][..], &["src", "run.sh"], &["src/", "./run.sh"]] {
        assert_eq!(with(same, false), before, "{same:?}");
    }
    assert_ne!(with(&["src/**"], false), before);
    assert_ne!(with(&["src/**", "run.sh"], true), before);
    assert!(before.len() == 64 && before.chars().all(|c| c.is_ascii_hexdigit()));
}

#[test]
fn what_is_wrong_is_said() {
    let temp = TempDir::new().unwrap();
    let app = lay_out(temp.path(), package());
    let said = |change: &dyn Fn(&mut Ingredients)| {
        let mut ingredients = ingredients(&app);
        change(&mut ingredients);
        key(&app, &ingredients).unwrap_err().to_string()
    };
    let none = said(&|i| i.inputs = located(&["srcs/**", "gone.c"]));
    assert!(
        none.contains("`srcs/**` matches no file") && none.contains("`gone.c` matches no file")
    );
    assert!(said(&|i| i.inputs = located(&["../near"])).contains("outside the package"));
    let image = |context: &str| Some(Image { context: app.join(context), containerfile: None });
    assert!(said(&|i| i.image = image("gone")).contains("there is no build context"));
    assert!(said(&|i| i.image = image("src")).contains("there is no Containerfile"));
    write(&app, "image/.containerignore", b"ok\n[\n");
    let bad = said(&|_| {});
    assert!(bad.contains(".containerignore:2: `[` has a `[` that nothing closes"), "{bad}");
    fs::remove_file(app.join("larder.lock")).unwrap();
    let unpinned = said(&|_| {});
    assert!(unpinned.contains("larder.toml:5:1: larder.lock does not pin `far`"), "{unpinned}");
}

#[test]
fn packages_that_no_build_takes_have_no_key() {
    let temp = TempDir::new().unwrap();
    let app = lay_out(temp.path(), package());
    let refused = || key(&app, &ingredients(&app)).unwrap_err().to_string();
    write(&app, "../near/larder.toml", b"[package]\nname = \"nearby\"\n");
    let said = refused();
    assert!(
        said.contains("the dependency `near` is called `nearby` by its own manifest"),
        "{said}"
    );
    // Else only one of them would count.
    let near = b"[package]\nname = \"near\"\n[dependencies]\nmid = { path = \"../mid\" }\n";
    write(&app, "../near/larder.toml", near);
    let mid = b"[package]\nname = \"mid\"\n[dependencies]\nnear = { path = \"../mid/near\" }\n";
    write(&app, "../mid/larder.toml", mid);
    write(&app, "../mid/near/larder.toml", b"[package]\nname = \"near\"\n");
    let said = refused();
    assert!(said.contains("two packages are called `near`"), "{said}");
}

#[test]
fn the_variables_that_commands_take_count() {
    let temp = TempDir::new().unwrap();
    let manifest = b"[package]\nname = \"a\"\n[[command]]\nname = \"c\"\nrun = [\"true\"]\n\
        outputs = [\"o\"]\npass-env = [\"TAKEN\"]\n";
    write(temp.path(), "larder.toml", manifest);
    let key = |toolchain: bool, variables: &[(&str, &str)]| {
        let path = std::env::var("PATH").unwrap();
        let all = variables.iter().copied().chain([("PATH", path.as_str())]);
        let keys = keys_in(temp.path(), &all.collect()).unwrap();
        let ingredients = Ingredients { toolchain, ..Ingredients::default() };
        larder_project::ci::key::key(&keys, &ingredients).unwrap().key
    };
    let [unset, empty, set] = [&[][..], &[("TAKEN", "")], &[("TAKEN", "1")]];
    assert_ne!(key(true, unset), key(true, empty));
    assert_ne!(key(true, empty), key(true, set));
    assert_eq!(key(true, set), key(true, &[("TAKEN", "1"), ("OTHER", "1")]));
    assert_eq!(key(false, unset), key(false, set));
}

#[test]
fn the_ignore_file_beside_the_recipe_comes_first() {
    let temp = TempDir::new().unwrap();
    for (path, content) in [
        ("ci/Image", "FROM scratch\n"),
        ("c/.dockerignore", "a\n"),
        ("c/a", "1"),
        ("c/b", "1"),
        ("ci/Image.dockerignore", ".dockerignore\nb\n"),
    ] {
        write(temp.path(), path, content.as_bytes());
    }
    let recipe = temp.path().join("ci/Image");
    let hash = || context::trace(&temp.path().join("c"), Some(&recipe)).unwrap().hash();
    let before = hash();
    write(temp.path(), "c/b", b"2");
    write(temp.path(), "c/.dockerignore", b"");
    assert_eq!(hash(), before);
    write(temp.path(), "c/a", b"2");
    assert_ne!(hash(), before);
    let before = hash();
    write(temp.path(), "ci/Image", b"FROM other\n");
    assert_ne!(hash(), before);
}

fn with_jobs(jobs: &str) -> (TempDir, PathBuf) {
    let temp = TempDir::new().unwrap();
    let app = lay_out(temp.path(), package());
    let manifest = fs::read_to_string(app.join("larder.toml")).unwrap();
    write(&app, "larder.toml", format!("{manifest}{jobs}").as_bytes());
    (temp, app)
}

const JOBS: &str = "[ci.jobs.test]\ninputs = [\"src\"]\nneeds = [\"build\"]\n\
                    [ci.jobs.build]\ninputs = [\"src/a.c\"]\ntoolchain = false\n\
                    [ci.jobs.image]\ncontext = \"image\"\ntoolchain = false\n";

#[test]
fn a_plan_has_every_job_with_its_key() {
    let (_temp, app) = with_jobs(JOBS);
    let asked = std::sync::Mutex::new(Vec::new());
    let jobs = plan(&app, |key| {
        asked.lock().unwrap().push(key.to_owned());
        match key.split_once('-').unwrap().0 {
            "build" => Probe::Hit,
            "image" => Probe::Unknown("no network".to_owned()),
            _ => Probe::Miss,
        }
    })
    .unwrap();
    let names: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.probe, job.skip)).collect();
    assert_eq!(
        names,
        [("build", "hit", true), ("image", "unknown", false), ("test", "miss", false)]
    );
    let mut asked = asked.into_inner().unwrap();
    asked.sort();
    assert_eq!(asked, jobs.iter().map(|job| job.key.clone()).collect::<Vec<_>>());
    for job in &jobs {
        assert!(job.key.starts_with(&job.near[0]) && job.near[0].starts_with(&job.near[1]));
        assert!(job.key.len() <= 128);
        assert_eq!(job_key(&app, &job.name).unwrap().key, job.key);
    }
    let outputs = github_outputs(&jobs);
    assert!(outputs.starts_with(&format!("build-key={}\nbuild-skip=true\n", jobs[0].key)));
    assert!(outputs.contains(&format!(
        "image-near<<END_OF_KEYS\n{}\n{}\nEND_OF_KEYS\n",
        jobs[1].near[0], jobs[1].near[1]
    )));
    assert!(outputs.lines().last().unwrap().starts_with("plan={\"jobs\":["));

    // What a job needs decides it too; what it does not need does not.
    let keys = || plan(&app, |_| Probe::Miss).unwrap().into_iter().map(|job| job.key);
    let before: Vec<String> = keys().collect();
    write(&app, "src/a.c", b"int changed;\n");
    let after: Vec<String> = keys().collect();
    let changed: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a != b).collect();
    assert_eq!(changed, [true, false, true]);
    // Jobs with the same environment stay near.
    assert_eq!(before[2][..21], after[2][..21]);
}

#[test]
fn jobs_that_cannot_be() {
    let refused = |jobs: &str| {
        let (_temp, app) = with_jobs(jobs);
        plan(&app, |_| Probe::Miss).unwrap_err().to_string()
    };
    for (jobs, words) in [
        ("[ci.jobs.a]\n", "job `a` depends on nothing"),
        ("[ci.jobs.\"a.b\"]\ninputs = [\"src\"]\n", "`a.b` cannot name a job"),
        ("[ci.jobs.a]\ninputs = [\"src\"]\nneeds = [\"b\"]\n", "there is no job `b`"),
        (
            "[ci.jobs.a]\ninputs = [\"src\"]\nneeds = [\"b\"]\n[ci.jobs.b]\ninputs = [\"src\"]\nneeds = [\"a\"]\n",
            "needs itself",
        ),
        ("[ci.jobs.a]\ninput = [\"src\"]\n", "did you mean `inputs`?"),
        ("[ci.jobs.a]\ninputs = [\"../x\"]\n", "outside the package"),
        ("[ci.jobs.a]\ninputs = [\"nothing/**\"]\n", "matches no file"),
        (
            "[ci.jobs.a]\ninputs = [\"src\"]\ncontainerfile = \"x\"\n",
            "has a containerfile and no context",
        ),
        ("[ci]\njobs = 1\n", "expected a table"),
        ("[ci.job.a]\n", "did you mean `jobs`?"),
    ] {
        let said = refused(jobs);
        assert!(said.contains(words) && said.contains("larder.toml:"), "{words}: {said}");
    }
    let (_temp, app) = with_jobs(JOBS);
    assert!(job_key(&app, "tset").unwrap_err().to_string().contains("did you mean `test`?"));
}
