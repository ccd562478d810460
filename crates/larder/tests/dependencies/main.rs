//! Git dependencies, the lock file and the directory of packages.

mod archives;
mod overlays;
mod submodules;
mod versions;

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use larder_testkit::{
    files::write_all,
    git::{self, Repository, app, git},
    run::{larder_in, run},
};
use tempfile::TempDir;

fn lock(directory: &Path) -> String {
    fs::read_to_string(directory.join("larder.lock")).unwrap_or_default()
}

fn built(directory: &Path) -> String {
    let (code, out, err) = run(larder_in(directory).args(["exec", "app"])).parts();
    assert_eq!(code, 0, "{err}");
    out.trim().to_owned()
}

#[test]
fn a_lock_is_written_once_and_moves_only_by_update() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let first = foo.head();
    let app = app(&temp.path().join("app"), &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
    assert_eq!(built(&app), "1");
    assert!(lock(&app).contains(&first), "{}", lock(&app));
    let written = fs::metadata(app.join("larder.lock")).unwrap().modified().unwrap();

    let second = foo.commit(2);
    assert_eq!(built(&app), "1", "the lock is respected");
    assert_eq!(fs::metadata(app.join("larder.lock")).unwrap().modified().unwrap(), written);

    let (code, _, err) = run(larder_in(&app).args(["update", "--locked"])).parts();
    assert_eq!((code, lock(&app).contains(&first)), (1, true), "{err}");
    let (code, _, err) = run(larder_in(&app).args(["update", "fo"])).parts();
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("did you mean `foo`?"), "{err}");
    let (code, out, _) = run(larder_in(&app).args(["update", "foo", "--json"])).parts();
    assert_eq!(code, 0);
    assert!(
        out.lines().any(|line| line.contains("\"event\":\"pinned\"") && line.contains(&second))
    );
    assert_eq!(built(&app), "2");
    assert!(lock(&app).contains(&second) && !lock(&app).contains(&first));

    // An update that changes nothing writes nothing.
    let written = fs::metadata(app.join("larder.lock")).unwrap().modified().unwrap();
    let (code, _, err) = run(larder_in(&app).arg("update")).parts();
    assert_eq!((code, err.contains("pinned as before")), (0, true), "{err}");
    assert_eq!(fs::metadata(app.join("larder.lock")).unwrap().modified().unwrap(), written);
}

#[test]
fn revisions_are_commits_tags_branches_and_beginnings_of_commits() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let one = foo.head();
    git(&foo.path, &["tag", "--annotate", "--message=x", "v1"]);
    foo.commit(2);
    git(&foo.path, &["branch", "side"]);
    foo.commit(3);
    // A tag comes before a branch of the same name.
    git(&foo.path, &["branch", "v1"]);
    for (rev, value) in
        [("v1", "1"), ("side", "2"), ("main", "3"), (one.as_str(), "1"), (&one[..9], "1")]
    {
        let table = format!("{{ git = \"{}\", rev = \"{rev}\" }}", foo.url());
        let directory = temp.path().join(format!("app-{rev}"));
        let app = app(&directory, &[("foo", &table)]);
        assert_eq!(built(&app), value, "{rev}");
        assert!(lock(&app).contains(&format!("rev = \"{rev}\"")));
    }
    let table = format!("{{ git = \"{}\", rev = \"v9\" }}", foo.url());
    let app = app(&temp.path().join("none"), &[("foo", &table)]);
    let (code, _, err) = run(larder_in(&app).arg("build")).parts();
    assert_eq!(code, 1, "{err}");
    assert!(
        err.contains("larder.toml:4:1") && err.contains("has no tag, branch or commit `v9`"),
        "{err}"
    );
    assert!(!app.join("larder.lock").exists());
}

#[test]
fn a_new_dependency_is_added_and_the_others_stay() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let bar = Repository::new(temp.path(), "bar", "");
    let at = |repository: &Repository| format!("{{ git = \"{}\" }}", repository.path.display());
    let directory = temp.path().join("app");
    app(&directory, &[("foo", &at(&foo))]);
    assert_eq!(built(&directory), "1");
    foo.commit(10);
    bar.commit(20);
    app(&directory, &[("foo", &at(&foo)), ("bar", &at(&bar))]);
    let (code, _, err) = run(larder_in(&directory).args(["build", "--locked"])).parts();
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("larder.lock does not pin `bar`"), "{err}");
    assert_eq!(built(&directory), "21");
    // A package that is no longer needed stays until the next update.
    app(&directory, &[("bar", &at(&bar))]);
    assert_eq!(built(&directory), "20");
    assert!(lock(&directory).contains("\"foo\""));
    run(larder_in(&directory).arg("update"));
    assert!(!lock(&directory).contains("\"foo\""));
}

#[test]
fn another_spelling_is_the_same_repository_and_another_repository_is_not() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let directory = temp.path().join("app");
    app(&directory, &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
    assert_eq!(built(&directory), "1");
    let before = lock(&directory);
    foo.commit(2);
    let path = foo.path.display();
    for url in [format!("{path}"), format!("{path}/"), format!("{path}/.git"), "../foo".into()] {
        app(&directory, &[("foo", &format!("{{ git = \"{url}\" }}"))]);
        assert_eq!((built(&directory), lock(&directory)), ("1".into(), before.clone()), "{url}");
    }
    let fork = Repository::new(&temp.path().join("fork"), "foo", "");
    for table in [
        format!("{{ git = \"{}\" }}", fork.url()),
        format!("{{ git = \"{}\", rev = \"main\" }}", foo.url()),
    ] {
        app(&directory, &[("foo", &table)]);
        let (code, _, err) = run(larder_in(&directory).arg("build")).parts();
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("`larder update foo` pins it anew"), "{err}");
        assert_eq!(lock(&directory), before);
    }
}

#[test]
fn users_and_ports_make_a_difference_and_schemes_do_not() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let same = [
        "git@git.example.org:team/foo",
        "git@GIT.example.org:/team/foo.git",
        "ssh://git@git.example.org/team/foo",
        "ssh://git@git.example.org:22/team/foo.git/",
        "https://git.example.org/team/foo",
        "https://git@git.example.org/team/foo.git",
    ];
    let others = [
        "alice@git.example.org:team/foo",
        "ssh://alice@git.example.org/team/foo",
        "https://alice@git.example.org/team/foo",
        "ssh://git@git.example.org:2222/team/foo",
    ];
    // All of them lead here, so that only their spelling counts.
    let lines = same.iter().chain(&others).map(|url| format!("insteadOf = \"{url}\"\n"));
    let config = format!("[url \"{}\"]\n{}", foo.url(), lines.collect::<String>());
    write_all(temp.path(), &[("gitconfig", &config)]);
    let graph = |app: &Path, code: i32| {
        let mut command = larder_in(app);
        command.arg("graph").env("GIT_CONFIG_GLOBAL", temp.path().join("gitconfig"));
        run(command).ends_with(code).stderr
    };
    let table = |url: &str| format!("{{ git = \"{url}\" }}");
    let directory = temp.path().join("app");
    app(&directory, &[("foo", &table(same[0]))]);
    graph(&directory, 0);
    let pinned = lock(&directory);
    for url in same {
        app(&directory, &[("foo", &table(url))]);
        graph(&directory, 0);
        assert_eq!(lock(&directory), pinned, "{url}");
    }
    for url in others {
        app(&directory, &[("foo", &table(url))]);
        let err = graph(&directory, 2);
        assert!(err.contains(url) && err.contains("`larder update foo` pins it anew"), "{err}");
        assert_eq!(lock(&directory), pinned, "{url}");
    }
    // Two packages that spell it differently need the same, unless it is as somebody else.
    for (url, code) in [(same[4], 0), (others[2], 2)] {
        let needs = format!("[dependencies]\nfoo = {}", table(url));
        let bar = Repository::new(&temp.path().join(code.to_string()), "bar", &needs);
        let both = temp.path().join(format!("both{code}"));
        app(&both, &[("foo", &table(same[0])), ("bar", &table(&bar.url()))]);
        let err = graph(&both, code);
        assert_eq!(err.contains("two packages need different `foo`"), code == 2, "{err}");
    }
}

#[test]
fn dependencies_of_dependencies() {
    let temp = TempDir::new().unwrap();
    let base = Repository::new(temp.path(), "base", "");
    let more = format!(
        "libraries = [\"base/base\", \"inner/inner\"]\n[dependencies]\nbase = {{ git = \"{}\" }}\ninner = {{ path = \"inner\" }}",
        base.url()
    );
    let foo = Repository::new(temp.path(), "foo", &more);
    write_all(
        &foo.path,
        &[
            (
                "inner/larder.toml",
                "[package]\nname = \"inner\"\n[[library]]\nname = \"inner\"\nsources = [\"inner.c\"]\n",
            ),
            ("inner/inner.c", "int inner(void) { return 40; }\n"),
            (
                "foo.c",
                "int base(void); int inner(void);\nint foo(void) { return base() + inner(); }\n",
            ),
        ],
    );
    foo.commit_all();
    let app = app(&temp.path().join("app"), &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
    assert_eq!(built(&app), "41");
    assert!(lock(&app).contains(&base.head()) && lock(&app).contains(&foo.head()));
    assert!(app.join(".larder/packages/foo/inner/inner.c").exists());

    // The same again from a path dependency, whose relative URL is from its own directory.
    let near = temp.path().join("near");
    write_all(
        &near,
        &[
            (
                "larder.toml",
                "[package]\nname = \"near\"\n[dependencies]\nbase = { git = \"../base.git\" }\n[[library]]\nname = \"near\"\nsources = [\"near.c\"]\nincludes = [\".\"]\nlibraries = [\"base/base\"]\n",
            ),
            ("near.c", "int base(void);\nint near(void) { return base(); }\n"),
            ("near.h", "int near(void);\n"),
        ],
    );
    let deep = git::app(&temp.path().join("deep/app"), &[("near", "{ path = \"../../near\" }")]);
    assert_eq!(built(&deep), "1");
    assert!(lock(&deep).contains("git = \"../../base\""), "{}", lock(&deep));
    assert_eq!(built(&deep), "1");
}

#[test]
fn conflicts_name_both_who_need() {
    let temp = TempDir::new().unwrap();
    let base = Repository::new(temp.path(), "base", "");
    git(&base.path, &["tag", "v1"]);
    base.commit(2);
    git(&base.path, &["tag", "v2"]);
    let with = |rev: &str| {
        format!("[dependencies]\nbase = {{ git = \"{}\", rev = \"{rev}\" }}", base.url())
    };
    let foo = Repository::new(temp.path(), "foo", &with("v1"));
    let bar = Repository::new(temp.path(), "bar", &with("v2"));
    let at = |repository: &Repository| format!("{{ git = \"{}\" }}", repository.url());
    let app = app(&temp.path().join("app"), &[("foo", &at(&foo)), ("bar", &at(&bar))]);
    let (code, _, err) = run(larder_in(&app).arg("build")).parts();
    assert_eq!(code, 2, "{err}");
    for part in ["`bar` needs", "at v2", "`foo` needs", "at v1", "different `base`"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    assert!(!app.join("larder.lock").exists());
}

#[test]
fn what_comes_from_git_stays_inside() {
    let temp = TempDir::new().unwrap();
    let secret = temp.path().join("secret");
    write_all(&secret, &[("larder.toml", "[package]\nname = \"secret\"\n")]);
    let at = |repository: &Repository| format!("{{ git = \"{}\" }}", repository.url());
    let refused = |foo: &Repository, words: &str| {
        let directory = TempDir::new().unwrap();
        let app = app(directory.path(), &[("foo", &at(foo))]);
        let (code, _, err) = run(larder_in(&app).arg("build")).parts();
        assert_ne!(code, 0, "{words}");
        assert!(err.contains(words), "{words}: {err}");
        (app.join(".larder/packages/foo").exists(), directory)
    };
    let outside =
        Repository::new(temp.path(), "foo", "[dependencies]\nsecret = { path = \"../secret\" }");
    // Its checkout is elsewhere, but the path itself is what is refused.
    let absolute = format!("[dependencies]\nsecret = {{ path = \"{}\" }}", secret.display());
    outside.manifest(&absolute);
    outside.commit_all();
    refused(&outside, "is outside the repository");
    outside.manifest("[dependencies]\nsecret = { git = \"../secret\" }");
    outside.commit_all();
    refused(&outside, "leads out of the repository");

    let linked = Repository::new(&temp.path().join("links"), "foo", "");
    for target in ["/etc/passwd", "../../../secret", "sub/../../x"] {
        let link = linked.path.join("evil");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
        linked.commit_all();
        let (checked_out, _) = refused(&linked, "symbolic link that leads out of it: evil");
        assert!(!checked_out);
    }
}

#[test]
fn offline_means_that_nothing_is_fetched() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let app = app(&temp.path().join("app"), &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
    let offline = || {
        let (code, _, err) = run(larder_in(&app).args(["build", "--offline"])).parts();
        let by_environment = run(larder_in(&app).arg("build").env("LARDER_OFFLINE", "1"));
        assert_eq!(code, by_environment.code.unwrap(), "{}", by_environment.stderr);
        (code, err)
    };
    let (code, err) = offline();
    assert_eq!((code, err.contains("`foo`")), (1, true), "{err}");
    let long = "a-branch-with-a-name-that-is-longer-than-any-commit-of-sha-1";
    let table = format!("{{ git = \"{}\", rev = \"{long}\" }}", foo.url());
    let other = git::app(&temp.path().join("other"), &[("foo", &table)]);
    let (code, _, err) = run(larder_in(&other).args(["build", "--offline"])).parts();
    assert_eq!((code, err.contains("cannot be found out offline")), (1, true), "{err}");
    assert_eq!(built(&app), "1");
    fs::rename(&foo.path, temp.path().join("gone")).unwrap();
    assert_eq!(offline().0, 0, "what is there is used");
    fs::remove_dir_all(app.join(".larder/packages")).unwrap();
    let (code, err) = offline();
    assert_eq!((code, err.contains("nothing is fetched offline")), (1, true), "{err}");
    let (code, _, err) = run(larder_in(&app).arg("build")).parts();
    assert_eq!((code, err.contains("cannot get the dependency `foo`")), (1, true), "{err}");
}

#[test]
fn a_shared_directory_has_several_commits_and_serves_who_cannot_write_it() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let (first, second) = (foo.head(), foo.commit(2));
    let shared = temp.path().join("shared");
    let in_shared = |directory: &Path| {
        let (code, out, err) =
            run(larder_in(directory).args(["exec", "app"]).env("LARDER_PKG_DIR", &shared)).parts();
        assert_eq!(code, 0, "{err}");
        out.trim().to_owned()
    };
    let mut apps = Vec::new();
    for (rev, value) in [(&first, "1"), (&second, "2")] {
        let table = format!("{{ git = \"{}\", rev = \"{rev}\" }}", foo.url());
        let app = app(&temp.path().join(value), &[("foo", &table)]);
        assert_eq!(in_shared(&app), value);
        assert!(shared.join("foo").join(rev).join("foo.c").exists());
        assert!(!app.join(".larder/packages").exists());
        apps.push(app);
    }
    fs::remove_dir_all(&foo.path).unwrap();
    let before = tree(&shared);
    assert_eq!((in_shared(&apps[0]), in_shared(&apps[1])), ("1".into(), "2".into()));
    assert_eq!(tree(&shared), before);
}

/// Every file below `directory` and when it was written.
fn tree(directory: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            found.extend(tree(&path));
        }
        found.push((path, metadata.modified().unwrap()));
    }
    found.sort();
    found
}

#[test]
fn eight_processes_share_one_directory() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let bar = Repository::new(temp.path(), "bar", "");
    for count in 0..200 {
        write_all(&foo.path, &[(&format!("data/{count}"), &"x".repeat(count * 10))]);
    }
    foo.commit_all();
    let shared = temp.path().join("shared");
    let table = |repository: &Repository| format!("{{ git = \"{}\" }}", repository.url());
    let children: Vec<_> = (0..8)
        .map(|count| {
            let directory = temp.path().join(format!("app{count}"));
            let app = app(&directory, &[("foo", &table(&foo)), ("bar", &table(&bar))]);
            let mut command = larder_in(&app);
            command.args(["exec", "app"]).env("LARDER_PKG_DIR", &shared);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2");
    }
    let names = |name: &str| -> Vec<String> {
        let entries = fs::read_dir(shared.join(name)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(
        names("foo"),
        [foo.head(), "lock".to_owned()].map(|name| name).into_iter().collect::<Vec<_>>()
    );
    assert_eq!(
        fs::read_dir(shared.join("foo").join(foo.head()).join("data")).unwrap().count(),
        200
    );
}

#[test]
fn killed_at_any_moment_nothing_half_made_is_taken_for_whole() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let files = 300;
    for count in 0..files {
        write_all(&foo.path, &[(&format!("data/{count}"), &format!("{count}").repeat(500))]);
    }
    foo.commit_all();
    for (shared, name) in [(true, "shared"), (false, "own")] {
        let app =
            app(&temp.path().join(name), &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
        let directory = match shared {
            true => temp.path().join("packages/foo"),
            false => app.join(".larder/packages"),
        };
        let place = directory.join(if shared { foo.head() } else { "foo".into() });
        let command = || {
            let mut command = larder_in(&app);
            if shared {
                command.env("LARDER_PKG_DIR", temp.path().join("packages"));
            }
            command.arg("graph").stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        for delay in [0, 5, 10, 15, 20, 30, 40, 60, 80] {
            let mut child = command().spawn().unwrap();
            // Killed so long after the first trace of its work.
            let deadline = Instant::now() + Duration::from_secs(20);
            while !directory.exists() && Instant::now() < deadline {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(delay));
            let _ = child.kill();
            child.wait().unwrap();
            if place.exists() {
                assert_eq!(fs::read_dir(place.join("data")).unwrap().count(), files);
                fs::remove_dir_all(&place).unwrap();
            }
        }
        assert!(command().status().unwrap().success());
        assert_eq!(fs::read_dir(place.join("data")).unwrap().count(), files);
    }
}

#[test]
fn work_done_in_a_checkout_is_not_thrown_away() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let app = app(&temp.path().join("app"), &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
    assert_eq!(built(&app), "1");
    let checkout = app.join(".larder/packages/foo");
    fs::write(checkout.join("mine.c"), "mine").unwrap();
    foo.commit(2);
    let (code, _, err) = run(larder_in(&app).arg("update")).parts();
    assert_eq!((code, err.contains("mine.c is not as it was checked out")), (1, true), "{err}");
    assert!(checkout.join("mine.c").exists());
    git(&checkout, &["add", "--all"]);
    git(&checkout, &["commit", "--quiet", "--message=mine"]);
    let (code, _, err) = run(larder_in(&app).arg("build")).parts();
    assert_eq!((code, err.contains("another commit")), (1, true), "{err}");
    fs::remove_dir_all(&checkout).unwrap();
    run(larder_in(&app).arg("update"));
    assert_eq!(built(&app), "2");
}

#[test]
fn checkouts_are_the_commit_byte_for_byte() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    write_all(
        &foo.path,
        &[
            (".gitattributes", "*.txt text eol=crlf\n*.id ident\n*.big filter=lfs\n"),
            ("a.txt", "a\nb\n"),
            ("a.id", "$Id$\n"),
            ("a.big", "big"),
            ("run.sh", "#!/bin/sh\n"),
        ],
    );
    git(&foo.path, &["add", "--all"]);
    git(&foo.path, &["update-index", "--chmod=+x", "run.sh"]);
    git(&foo.path, &["commit", "--quiet", "--message=files"]);
    let hook = foo.path.join("post-checkout");
    write_all(&foo.path, &[("post-checkout", "#!/bin/sh\ntouch \"$HOME/hooked\"\n")]);
    let mut permissions = fs::metadata(&hook).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&hook, permissions).unwrap();
    let home = temp.path().join("home");
    write_all(
        &home,
        &[(
            "gitconfig",
            &format!(
                "[core]\nautocrlf = true\nhooksPath = {}\n[filter \"lfs\"]\nsmudge = touch {}/hooked\nrequired = true\n",
                foo.path.display(),
                home.display(),
            ),
        )],
    );
    let app = app(&temp.path().join("app"), &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
    let mut command = larder_in(&app);
    // As from within a hook of another repository.
    command.env("GIT_DIR", temp.path().join("nowhere")).env("GIT_INDEX_FILE", "/nowhere");
    command.env("GIT_CONFIG_GLOBAL", home.join("gitconfig")).env("HOME", &home);
    let (code, _, err) = run(command.arg("graph")).parts();
    assert_eq!(code, 0, "{err}");
    let read =
        |name: &str| fs::read_to_string(app.join(".larder/packages/foo").join(name)).unwrap();
    assert_eq!(
        (read("a.txt"), read("a.id"), read("a.big")),
        ("a\nb\n".into(), "$Id$\n".into(), "big".into())
    );
    let mode = fs::metadata(app.join(".larder/packages/foo/run.sh")).unwrap();
    assert_ne!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o100, 0);
    assert!(!home.join("hooked").exists());
}

#[test]
fn hostile_urls_run_nothing_and_passwords_are_not_repeated() {
    let temp = TempDir::new().unwrap();
    let mark = temp.path().join("mark");
    for (count, url) in [
        format!("ext::sh -c touch% {}", mark.display()),
        format!("--upload-pack=touch {}", mark.display()),
        "http://127.0.0.1:1/x".to_owned(),
        "https://user:hunter2@127.0.0.1:1/x".to_owned(),
        "https://user:hunt/er2@127.0.0.1:1/x".to_owned(),
        "https://user%3Ahunter2@127.0.0.1:1/x".to_owned(),
        "file://user:hunter2@localhost/x".to_owned(),
        "user:hunter2@127.0.0.1:x".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let app = app(
            &temp.path().join(count.to_string()),
            &[("foo", &format!("{{ git = \"{url}\" }}"))],
        );
        let (code, out, err) = run(larder_in(&app).arg("build")).parts();
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("larder.toml:4"), "{err}");
        assert!(!err.contains("er2") && !out.contains("er2"), "{err}");
    }
    assert!(!mark.exists());
}

#[test]
fn locks_that_cannot_be_used() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let app = app(&temp.path().join("app"), &[("foo", &format!("{{ git = \"{}\" }}", foo.url()))]);
    for (text, words) in [
        ("version = 2\n", "larder.lock:1:11: the lock file has version 2"),
        ("", "larder.lock:1:1: the lock file has no version"),
        ("version = 1\n=======\n", "larder.lock:2:2"),
        ("version = 1\n[[package]]\nname = \"foo\"\n", "has no `git`"),
        ("version = \"", "larder.lock:1:12"),
    ] {
        write_all(&app, &[("larder.lock", text)]);
        let (code, _, err) = run(larder_in(&app).arg("build")).parts();
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(words) && err.contains("help: "), "{words}: {err}");
        assert_eq!(lock(&app), text);
    }
}

#[test]
fn the_name_in_the_manifest_and_of_the_dependency_are_one() {
    let temp = TempDir::new().unwrap();
    let foo = Repository::new(temp.path(), "foo", "");
    let app = app(&temp.path().join("app"), &[("bar", &format!("{{ git = \"{}\" }}", foo.url()))]);
    let (code, _, err) = run(larder_in(&app).arg("build")).parts();
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("the dependency `bar` is called `foo`"), "{err}");
}
