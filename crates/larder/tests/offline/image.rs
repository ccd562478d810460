//! The CI image of `examples/ci`: built by buildah, from this machine's own files, and used, both
//! without a network. Its dependency from Git is in the image that it begins with, where the URL leads.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use larder_testkit::{
    files::write_all,
    git::git,
    run::{binary, larder},
    tools::skip,
};

use super::support::*;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ci").canonicalize().unwrap()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A root directory with what was installed into it, and nothing else.
struct Root(PathBuf);

impl Root {
    /// Copies a file to where it is, and so every symbolic link on the way.
    fn install(&self, path: &Path) {
        let Ok(metadata) = path.symlink_metadata() else { return };
        let parent = path.parent().unwrap().canonicalize().unwrap();
        let target = self.0.join(parent.strip_prefix("/").unwrap()).join(path.file_name().unwrap());
        // `..` in a path goes through directories that need hold nothing else.
        let spelled = path.parent().unwrap().strip_prefix("/").unwrap();
        for directory in [target.parent().unwrap(), &self.0.join(spelled)] {
            let _ = fs::create_dir_all(directory);
        }
        if target.symlink_metadata().is_ok() {
            return;
        }
        if metadata.is_symlink() {
            let link = fs::read_link(path).unwrap();
            symlink(&link, &target).unwrap();
            self.install(&parent.join(link));
        } else {
            fs::copy(path, &target).unwrap();
        }
    }

    /// A program with the libraries that it is linked with.
    fn install_program(&self, path: &Path) {
        self.install(path);
        for word in output("ldd", &[path.to_str().unwrap()]).split_whitespace() {
            if word.starts_with('/') {
                self.install(Path::new(word));
            }
        }
    }
}

/// Fills a root with all that it takes to compile, link and run the example: a shell, a C compiler
/// with its programs, the headers and libraries that it says it reads, and larder.
fn base(root: &Root) {
    for directory in ["tmp", "proc", "sys", "dev", "etc", "usr/bin", "usr/lib", "opt"] {
        fs::create_dir_all(root.0.join(directory)).unwrap();
    }
    fs::set_permissions(root.0.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    for link in ["/bin", "/lib", "/lib64", "/sbin"] {
        if let Ok(target) = fs::read_link(link) {
            fs::create_dir_all(root.0.join("usr").join(&link[1..])).unwrap();
            symlink(target, root.0.join(&link[1..])).unwrap();
        }
    }
    let find = |name: &str| {
        let path = env::var_os("PATH").unwrap();
        env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file())
    };
    for name in ["sh", "cc", "ar", "as", "ld", "rm", "true", "git"] {
        root.install_program(&find(name).unwrap_or_else(|| panic!("{name} is not here")));
    }
    // By this name it is run to serve a repository.
    let upload_pack = root.0.join("usr/bin/git-upload-pack");
    symlink(find("git").unwrap(), upload_pack).unwrap();
    for name in ["cc1", "collect2", "as", "ld"] {
        let said = output("cc", &[&format!("-print-prog-name={name}")]);
        let path = PathBuf::from(said.trim());
        root.install_program(&if path.is_absolute() { path } else { find(name).unwrap() });
    }
    for name in ["liblto_plugin.so", "libgcc_s.so", "libgcc_s.so.1", "libgcc.a", "libc.so"] {
        root.install(Path::new(output("cc", &[&format!("-print-file-name={name}")]).trim()));
    }
    let scratch = TempDir::new().unwrap();
    let source = scratch.path().join("a.c");
    fs::write(&source, "#include <stdio.h>\nint main(void) { return puts(\"\"); }\n").unwrap();
    let source = source.to_str().unwrap();
    for word in output("cc", &["-O2", "-M", source]).split_whitespace() {
        if word.starts_with('/') && !word.starts_with(scratch.path().to_str().unwrap()) {
            root.install(Path::new(word));
        }
    }
    let program = scratch.path().join("a");
    let linked = output("cc", &["-Wl,-t", "-o", program.to_str().unwrap(), source]);
    for file in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        let file = Path::new(file.trim_matches(|c| matches!(c, '(' | ')')));
        if !file.starts_with(env::temp_dir()) {
            root.install(file);
        }
    }
    let larder = root.0.join("usr/local/bin/larder");
    fs::create_dir_all(larder.parent().unwrap()).unwrap();
    let built = binary();
    fs::copy(&built, &larder).unwrap();
    for word in output("ldd", &[built.to_str().unwrap()]).split_whitespace() {
        if word.starts_with('/') {
            root.install(Path::new(word));
        }
    }
}

/// Where the example says that its dependency from Git is, but for the repository's name.
const SERVER: &str = "https://git.example.org/";

/// The package from Git that the example depends on, as `examples/ci/larder.lock` pins it.
const SEPARATOR: &[(&str, &str)] = &[
    (
        "larder.toml",
        "[package]\nname = \"separator\"\nversion = \"1.0\"\n\n[[library]]\nname = \"separator\"\n\
         sources = [\"separator.c\"]\nincludes = [\".\"]\ntrace-args = [\"-O2\"]\n",
    ),
    (
        "separator.c",
        "#include \"separator.h\"\n\nconst char *separator(void) {\n    return \", \";\n}\n",
    ),
    ("separator.h", "const char *separator(void);\n"),
];

/// Makes that package's repository in `directory`; its commit is always the same.
fn separator(directory: &Path) -> String {
    write_all(directory, SEPARATOR);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(directory).args(arguments);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "A")
                .env(format!("GIT_{who}_EMAIL"), "a@example.org");
            command.env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
        }
        run(command).ok().stdout.trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=A separator"]);
    git(&["tag", "v1.0"]);
    git(&["rev-parse", "HEAD"])
}

/// buildah with storage of its own, in a network namespace of its own.
struct Buildah<'a>(&'a Path);

impl Buildah<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["-n", "buildah", "--storage-driver", "vfs", "--root"])
            .arg(self.0.join("root"))
            .arg("--runroot")
            .arg(self.0.join("run"))
            .args(arguments)
            .env("TMPDIR", self.0)
            .env("BUILDAH_ISOLATION", "chroot")
            .stdin(Stdio::null());
        command
    }

    /// Standard output of a command that succeeds, without the line's end.
    fn run(&self, arguments: &[&str]) -> String {
        let said = run(self.command(arguments)).ok();
        said.stdout.trim().to_owned()
    }
}

/// Whether images can be built here; says why where they cannot.
fn can_build_images() -> bool {
    let scratch = TempDir::new().unwrap();
    let tried = Buildah(scratch.path()).command(&["from", "scratch"]).output();
    let reason = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    skip(&format!("buildah cannot run here: {reason}"))
}

#[test]
fn the_example_image_builds_the_example_without_a_network() {
    if !can_build_images() {
        return;
    }
    let scratch = TempDir::new().unwrap();
    let buildah = Buildah(scratch.path());
    let root = Root(scratch.path().join("base"));
    base(&root);
    let commit = separator(&root.0.join("srv/separator.git"));
    let lock = fs::read_to_string(example().join("larder.lock")).unwrap();
    assert!(lock.contains(&commit), "{commit} is not what is pinned: {lock}");
    let elsewhere = format!("[url \"file:///srv/\"]\ninsteadOf = {SERVER}\n");
    write_all(&root.0, &[("usr/local/etc/gitconfig", &elsewhere), ("etc/gitconfig", &elsewhere)]);
    let container = buildah.run(&["from", "scratch"]);
    buildah.run(&["copy", "--quiet", &container, root.0.to_str().unwrap(), "/"]);
    buildah.run(&["commit", "--quiet", "--rm", &container, "localhost/base"]);
    fs::remove_dir_all(&root.0).unwrap();

    let context = example();
    let recipe = context.join("Containerfile");
    let built = run(buildah.command(&[
        "build",
        "--isolation=chroot",
        "--pull-never",
        "--build-arg=BASE=localhost/base",
        "--build-arg=LARDER=localhost/base",
        "--tag=localhost/ci",
        "--file",
        recipe.to_str().unwrap(),
        context.to_str().unwrap(),
    ]));
    let built = built.ok();
    // `bake` said that it had nothing, `verify` that now it is complete.
    let said = format!("{}{}", built.stdout, built.stderr);
    assert!(said.contains("baked 4 mappings and 4 artifacts"), "{said}");
    assert!(said.contains("4 mappings and 4 artifacts and 1 checkout"), "{said}");
    assert!(said.contains("in order"), "{said}");

    // A job in that image: a fresh clone, no network, no store but the image's, and nobody's account.
    let work = scratch.path().join("work");
    copy(&context, &work);
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "--message=app"]);
    let job_directory = scratch.path().join("job");
    fs::create_dir_all(job_directory.join("home")).unwrap();
    git(&job_directory, &["clone", "--quiet", work.to_str().unwrap(), "app"]);
    run(Command::new("chmod").args(["-R", "a+rwX"]).arg(&job_directory)).ok();
    let container = buildah.run(&["from", "--pull-never", "localhost/ci"]);
    buildah.run(&["run", "--isolation=chroot", &container, "--", "rm", "-r", "/srv"]);
    let volume = format!("{}:/job", job_directory.display());
    let job = |script: &str| {
        let script = format!("cd /job/app && export HOME=/job/home && {script}");
        buildah.run(&[
            "run",
            "--isolation=chroot",
            "--user=65534:65534",
            "--volume",
            &volume,
            &container,
            "--",
            "sh",
            "-c",
            &script,
        ])
    };
    // Only the packed store is in the image.
    let store =
        "cd /opt/larder-store && echo * packs/* && ! test -e /package && ! test -e /tmp/store";
    let listed = job(store);
    let names: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!((names.len(), names[0], names[1]), (4, "offline.json", "packs"), "{listed}");
    let built = job("larder --json build --offline --locked");
    let status = |target: &str| {
        let mut events = built.lines().map(|line| serde_json::from_str(line).unwrap());
        let ended = events.find(|event: &serde_json::Value| {
            event["event"] == "ended" && event["target"] == target
        });
        ended.unwrap()["status"].as_str().unwrap().to_owned()
    };
    for package in ["greeting", "separator"] {
        assert_eq!(status(&format!("@{package}/{package}:o")), "restored");
        assert_eq!(status(&format!("@{package}/{package}:static")), "restored");
    }
    assert_eq!(status("app:o"), "built");
    assert_eq!(status("app:exe"), "built");
    job("larder test --offline --locked");
    job("larder build --offline --locked --no-build");
    assert_eq!(job(".larder/build/app"), "hello, world");
    job("larder cache verify /opt/larder-store");
}

/// The example as it is checked out.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            _ if entry.file_name() == ".larder" => {}
            true => copy(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), &target).unwrap(),
        }
    }
}

#[test]
fn the_example_workflow_uses_what_there_is() {
    let scratch = TempDir::new().unwrap();
    let work = scratch.path().join("work");
    copy(&example(), &work);
    let outputs = scratch.path().join("outputs");
    let larder = |arguments: &[&str]| run(larder(&work, &scratch.path().join("store"), arguments));
    larder(&["ci", "plan", "--offline", "--github-output", outputs.to_str().unwrap()]).ok();
    let given = fs::read_to_string(outputs).unwrap();
    let workflow = fs::read_to_string(work.join(".github/workflows/ci.yml")).unwrap();
    let mut used = workflow.split("steps.plan.outputs.").skip(1).peekable();
    assert!(used.peek().is_some());
    for after in used {
        let name = after.split([' ', '}']).next().unwrap();
        assert!(
            given.lines().any(|line| line.starts_with(&format!("{name}="))
                || line.starts_with(&format!("{name}<<"))),
            "{name}"
        );
    }
    // Every command of the workflow and the recipe is one that larder knows.
    let recipe = fs::read_to_string(work.join("Containerfile")).unwrap();
    for line in workflow.lines().filter(|line| line.contains("run: larder")) {
        let (_, line) = line.split_once("run: larder ").unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let known = words.iter().take_while(|word| !word.starts_with('-')).take(2);
        let command: Vec<&str> = known.copied().filter(|word| !word.contains('.')).collect();
        let help = larder(&[&command[..], &["--help"]].concat()).ok();
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.stdout.contains(flag), "{flag} of {command:?}");
        }
    }
    assert!(recipe.contains("cache bake") && recipe.contains("cache verify"));
    // The package's own sources leave the image's key alone, what it pins does not.
    let key = || {
        let plan = larder(&["ci", "key", "--offline", "--job", "image"]).ok();
        plan.stdout
    };
    let before = key();
    fs::write(work.join("app.c"), "int main(void) { return 0; }\n").unwrap();
    assert_eq!(key(), before);
    fs::write(work.join("vendor/greeting/greeting.c"), "\n").unwrap();
    assert_ne!(key(), before);
}
