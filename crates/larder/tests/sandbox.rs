//! `--sandbox` against real compilers, shells and scripts, and against packages that mean harm.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    net::{TcpListener, UdpSocket},
    os::unix::{fs::symlink, net::UnixListener},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use larder_testkit::{
    files::{self, contents, set_mode},
    run::{Run, larder, run, under},
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;

const SECRET: &str = "e7a1-do-not-tell";

/// A package, and the home of whoever builds it, with a secret in it.
struct Package {
    dir: TempDir,
}

impl Package {
    fn new(manifest: &str) -> Self {
        let package = Self { dir: TempDir::new().unwrap() };
        let manifest = format!("[package]\nname = \"p\"\nversion = \"1\"\n{manifest}");
        package.write("larder.toml", &manifest);
        fs::create_dir_all(package.home().join(".ssh")).unwrap();
        fs::write(package.secret(), SECRET).unwrap();
        package
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("package")
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn secret(&self) -> PathBuf {
        self.home().join(".ssh/id_rsa")
    }

    fn write(&self, path: &str, text: &str) {
        files::write(&self.root().join(path), text);
    }

    fn script(&self, path: &str, text: &str) {
        self.write(path, text);
        set_mode(&self.root().join(path), 0o755);
    }

    fn larder(&self, arguments: &[&str]) -> Command {
        let mut command = larder(&self.root(), &self.dir.path().join("store"), arguments);
        // Without whatever the machine's users have put before the system's tools.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", self.home()).env("TOKEN", SECRET);
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        shown(run(self.larder(arguments)))
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let (code, text) = self.run(arguments);
        assert_eq!(code, 0, "{text}");
        text
    }

    fn fail(&self, arguments: &[&str]) -> String {
        let (code, text) = self.run(arguments);
        assert_eq!(code, 1, "{text}");
        text.replace(self.dir.path().canonicalize().unwrap().to_str().unwrap(), "")
    }

    fn built(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(".larder/build").join(path)).unwrap()
    }

    /// Nothing larder wrote or printed tells the secret.
    fn assert_secret(&self, printed: &str) {
        assert!(!printed.contains(SECRET), "{printed}");
        for (path, content) in contents(&self.root()) {
            let told = content.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
            assert!(!told, "{} tells the secret", path.display());
        }
        assert_eq!(fs::read_to_string(self.secret()).unwrap(), SECRET);
    }
}

/// The exit code, and what was printed.
fn shown(run: Run) -> (i32, String) {
    let (code, out, err) = run.parts();
    (code, out + &err)
}

/// The message between the line that tells of the failure and the command line.
fn report(text: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with("/package/larder.toml"));
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("  cd ")).collect();
    lines.join("\n")
}

/// C, C++, assembly, libraries of both kinds, what is linked with them, generated sources and headers,
/// commands with a shell and with Python, tests.
const PROJECT: &str = r#"
[[library]]
name = "parts"
kind = ["static", "shared"]
sources = ["src/one.c", "src/two.cpp", "src/three.S", "{table}"]
inputs = ["{header}"]
includes = ["include", "{build}/generated"]

[[library]]
name = "loaded"
kind = ["shared"]
sources = ["src/loaded.c"]

[[executable]]
name = "whole"
sources = ["src/main.c"]
libraries = ["parts", "loaded"]
test = true

[[command]]
name = "header"
inputs = ["data/*.txt"]
outputs = ["generated/values.h"]
run = ["sh", "-c", "cat data/*.txt | sed 's/^/#define /' > {out}"]

[[command]]
name = "table"
inputs = ["scripts/generate.py", "scripts/shared.py"]
outputs = ["table.c"]
run = ["python3", "scripts/generate.py", "{out}"]

[[command]]
name = "said"
run = ["{whole:exe}"]
inputs = ["{loaded}"]
outputs = ["said/"]

[[command]]
name = "tool"
inputs = ["data/one.txt"]
outputs = ["tool.txt"]
run = ["./scripts/tool.sh", "{out}", "{tmp}"]
"#;

fn project() -> Package {
    let package = Package::new(&PROJECT.replace(
        "run = [\"{whole:exe}\"]",
        "run = [\"sh\", \"-c\", \"{whole:exe} > {outdir}/said/it\"]",
    ));
    package.write(
        "src/one.c",
        "#include <one.h>\n#include <values.h>\nint one(void) { return ONE; }\n",
    );
    package.write("include/one.h", "int one(void);\n");
    package.write(
        "src/two.cpp",
        "#include <vector>\nextern \"C\" int two() { return std::vector<int>(2).size(); }\n",
    );
    package.write("src/three.S", "#include <one.h.S>\n.section .note.GNU-stack,\"\",%progbits\n");
    package.write("include/one.h.S", "/* nothing */\n");
    package.write("src/loaded.c", "int loaded(void) { return 4; }\n");
    package.write(
        "src/main.c",
        "#include <stdio.h>\n#include <one.h>\nint two(void);\nint loaded(void);\nextern int table[];\n\
         int main(void) { printf(\"%d\\n\", one() + two() + table[0] + loaded()); return 0; }\n",
    );
    package.write("data/one.txt", "ONE 1\n");
    package.write("scripts/shared.py", "VALUE = 3\n");
    package.write(
        "scripts/generate.py",
        "import hashlib, sys\nimport shared\nhashlib.sha256()\n\
         open(sys.argv[1], 'w').write(f'int table[] = {{ {shared.VALUE} }};\\n')\n",
    );
    package.script(
        "scripts/tool.sh",
        "#!/bin/sh\nset -e\nprintf 'int main(void) { return 0; }' > $2/try.c\n\
         gcc -o $2/try $2/try.c\n$2/try\ncp data/one.txt $1\n",
    );
    package
}

#[test]
fn a_sandboxed_build_makes_what_any_other_makes() {
    let (sandboxed, other) = (project(), project());
    sandboxed.succeed(&["build", "--sandbox", "--no-cache", "-j4"]);
    other.succeed(&["build", "--no-cache", "-j4"]);
    assert_eq!(sandboxed.built("said/it"), "10\n");
    let outputs = |package: &Package| -> BTreeMap<PathBuf, Vec<u8>> {
        let build = package.root().join(".larder/build");
        let files = contents(&build).into_iter();
        files.filter(|(path, _)| path.extension() != Some("trace".as_ref())).collect()
    };
    let (ours, theirs) = (outputs(&sandboxed), outputs(&other));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (path, content) in &ours {
        assert!(theirs[path] == *content, "{} differs", path.display());
    }
    // The sandbox is no input: neither way of building makes the other's outputs out of date.
    sandboxed.succeed(&["build", "--no-build"]);
    other.succeed(&["build", "--sandbox", "--no-build"]);
    sandboxed.succeed(&["test", "--sandbox"]);
    assert_eq!(sandboxed.succeed(&["exec", "--sandbox", "-q", "whole"]).trim(), "10");
}

#[test]
fn an_undeclared_file_is_reported_with_the_line_that_declares_it() {
    let package = Package::new(
        "\n[[command]]\nname = \"manual\"\ninputs = [\"doc/a.md\"]\noutputs = [\"manual\"]\n\
         run = [\"sh\", \"-c\", \"cat doc/*.md > {out}\"]\n",
    );
    package.write("doc/a.md", "A\n");
    package.write("doc/b.md", "B\n");
    insta::assert_snapshot!(report(&package.fail(&["build", "--sandbox"])), @r#"
    /package/larder.toml:7:11: it read doc/b.md, which the manifest does not declare
       |
     7 | inputs = ["doc/a.md"]
       |           ^^^^^^^^^^
       = help: declare it: inputs = ["doc/a.md", "doc/b.md"]
    "#);
    let manifest = fs::read_to_string(package.root().join("larder.toml")).unwrap();
    package.write("larder.toml", &manifest.replace("\"doc/a.md\"", "\"doc/a.md\", \"doc/b.md\""));
    package.succeed(&["build", "--sandbox"]);
    assert_eq!(package.built("manual"), "A\nB\n");
}

#[test]
fn an_undeclared_header_is_reported_with_the_line_that_declares_it() {
    let package = Package::new("\n[[executable]]\nname = \"x\"\nsources = [\"src/x.c\"]\n");
    package.write("src/x.c", "#include \"x.h\"\nint main(void) { return X; }\n");
    package.write("src/x.h", "#define X 0\n");
    insta::assert_snapshot!(report(&package.fail(&["build", "--sandbox"])), @r#"
    /package/larder.toml:6:8: it read src/x.h, which the manifest does not declare
       |
     6 | name = "x"
       |        ^^^
       = help: declare it: includes = ["src"]
    "#);
    package.write(
        "larder.toml",
        "[package]\nname = \"p\"\nversion = \"1\"\n[[executable]]\nname = \"x\"\n\
         sources = [\"src/x.c\"]\nincludes = [\"src\"]\n",
    );
    package.succeed(&["build", "--sandbox"]);
}

#[test]
fn what_another_target_makes_is_reported_with_its_name() {
    let package = Package::new(
        "\n[[command]]\nname = \"first\"\noutputs = [\"first.txt\"]\nrun = [\"touch\", \"{out}\"]\n\
         [[command]]\nname = \"second\"\noutputs = [\"second.txt\"]\n\
         run = [\"cp\", \"{build}/first.txt\", \"{out}\"]\n",
    );
    package.succeed(&["build", "--sandbox", "first"]);
    insta::assert_snapshot!(report(&package.fail(&["build", "--sandbox", "second"])), @r#"
    /package/larder.toml:10:8: it read what `first` makes, which the manifest does not declare
        |
     10 | name = "second"
        |        ^^^^^^^^
        = help: declare it: inputs = ["{first}"]
    "#);
}

#[test]
fn a_header_of_another_package_comes_with_its_library() {
    let package = Package::new(
        "\n[dependencies]\nz = { path = \"z\" }\n\
         [[executable]]\nname = \"x\"\nsources = [\"x.c\"]\n",
    );
    package.write("x.c", "#include \"z/include/z.h\"\nint main(void) { return z() - 3; }\n");
    package.write("z/include/z.h", "#include <made.h>\nint z(void);\n");
    package.write("z/z.c", "#include <z.h>\n#include <made.h>\nint z(void) { return MADE; }\n");
    package.write(
        "z/larder.toml",
        "[package]\nname = \"z\"\nversion = \"1\"\n\
         [[library]]\nname = \"z\"\nkind = [\"shared\"]\nsources = [\"z.c\"]\n\
         includes = [\"include\", \"{header}\"]\n\
         [[command]]\nname = \"header\"\noutputs = [\"made/\"]\n\
         run = [\"sh\", \"-c\", \"echo '#define MADE 3' > {out}/made.h\"]\n",
    );
    insta::assert_snapshot!(report(&package.fail(&["build", "--sandbox"])), @r#"
    /package/larder.toml:8:8: it read include/z.h of the package `z`, which the manifest does not declare
       |
     8 | name = "x"
       |        ^^^
       = help: declare it: libraries = ["z/z"]
    "#);
    let manifest = fs::read_to_string(package.root().join("larder.toml")).unwrap();
    let line = "sources = [\"x.c\"]\nlibraries = [\"z/z\"]";
    package.write("larder.toml", &manifest.replace("sources = [\"x.c\"]", line));
    package.write("x.c", "#include <z.h>\nint main(void) { return z() - MADE; }\n");
    package.succeed(&["build", "--sandbox"]);
    package.succeed(&["exec", "x"]);
}

#[test]
fn the_package_directory_may_be_an_include_directory() {
    let package = Package::new(
        "\n[[executable]]\nname = \"x\"\nsources = [\"src/x.c\"]\nincludes = [\".\"]\n",
    );
    package.write("top.h", "#define TOP 0\n");
    package.write("src/x.c", "#include <top.h>\nint main(void) { return TOP; }\n");
    package.succeed(&["build", "--sandbox"]);
    package.succeed(&["exec", "x"]);
}

#[test]
fn files_outside_the_package_are_for_whoever_builds_to_allow() {
    let outside = TempDir::new().unwrap();
    let path = outside.path().canonicalize().unwrap().join("note");
    fs::write(&path, "noted").unwrap();
    let package = Package::new(&format!(
        "\n[[command]]\nname = \"c\"\noutputs = [\"c\"]\nrun = [\"cp\", \"{}\", \"{{out}}\"]\n",
        path.display()
    ));
    let text = package.fail(&["build", "--sandbox"]);
    let path = path.to_str().unwrap();
    assert!(text.contains(&format!("it read {path}, which is outside the package")), "{text}");
    assert!(text.contains(&format!("build with --allow-read {path}")), "{text}");
    package.succeed(&["build", "--sandbox", "--allow-read", path]);
    assert_eq!(package.built("c"), "noted");
    let text = package.fail(&["build", "--sandbox", "--allow-read", "/nowhere/at/all"]);
    assert!(text.contains("--allow-read /nowhere/at/all: No such file"), "{text}");
}

#[test]
fn secrets_of_the_home_and_the_environment_stay_there() {
    let package = Package::new(
        "\n[[command]]\nname = \"thief\"\ninputs = [\"thief.sh\"]\noutputs = [\"loot\"]\n\
         run = [\"sh\", \"thief.sh\", \"{out}\"]\n",
    );
    let secret = package.secret();
    package.write(
        "thief.sh",
        &format!(
            "exec > $1 2>/dev/null\n\
             echo home=$HOME token=$TOKEN\nenv\n\
             cat ~/.ssh/id_rsa {secret} ../home/.ssh/id_rsa\n\
             ls {home}\n\
             ln -s {secret} $TMPDIR/link && cat $TMPDIR/link\n\
             ln {secret} $TMPDIR/hard && cat $TMPDIR/hard\n\
             mv {secret} $TMPDIR/moved\n\
             cat /proc/$PPID/environ /proc/*/environ /proc/*/cmdline\n\
             cat /proc/$PPID/root{secret} /proc/$PPID/cwd/../home/.ssh/id_rsa\n\
             cat /etc/shadow /etc/passwd\n\
             cat <&9\n\
             dd if=/dev/mem count=1\n\
             true\n",
            secret = secret.display(),
            home = package.home().display(),
        ),
    );
    // As if larder had been started with an open file, by a shell that forgot about it.
    let larder = package.larder(&["build", "--sandbox"]);
    let secret = package.secret();
    let forgets = ["sh", "-c", "exec 9< \"$0\"; exec \"$@\"", secret.to_str().unwrap()];
    let shell = under(&forgets, &larder);
    let (code, text) = shown(run(shell));
    assert_eq!(code, 0, "{text}");
    package.assert_secret(&text);
    let loot = package.built("loot");
    assert!(!loot.contains("root:"), "{loot}");
    assert!(!loot.contains(package.home().to_str().unwrap()), "{loot}");
    assert!(loot.contains("/.larder/tmp/"), "the home is the temporary directory: {loot}");
}

#[test]
fn a_manifest_cannot_ask_for_variables_that_it_was_not_given() {
    let package = Package::new(
        "\n[[command]]\nname = \"c\"\noutputs = [\"c\"]\n\
         pass-env = [\"SOURCE_DATE_EPOCH\", \"UNSET\", \"TOKEN\"]\n\
         run = [\"sh\", \"-c\", \"echo $SOURCE_DATE_EPOCH ${#TOKEN} > {out}\"]\n",
    );
    let build =
        |arguments: &[&str]| shown(run(package.larder(arguments).env("SOURCE_DATE_EPOCH", "7")));
    let (code, text) = build(&["build", "--sandbox"]);
    assert_eq!(code, 1);
    assert!(text.contains("`c` asks for the environment variable TOKEN"), "{text}");
    assert!(text.contains("build with --allow-env TOKEN"), "{text}");
    assert!(text.contains("larder.toml:6:8"), "{text}");
    package.assert_secret(&text);
    let (code, text) = build(&["build", "--sandbox", "--allow-env", "TOKEN"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(package.built("c"), format!("7 {}\n", SECRET.len()));
}

#[test]
fn there_is_no_network() {
    let package = Package::new(
        "\n[[command]]\nname = \"caller\"\ninputs = [\"call.py\"]\noutputs = [\"said\"]\n\
         run = [\"python3\", \"call.py\", \"{out}\"]\n\
         [[command]]\nname = \"loud\"\noutputs = [\"loud\"]\n\
         run = [\"python3\", \"-c\", \"import socket; socket.create_connection(('127.0.0.1', 9))\"]\n",
    );
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = package.root().join("socket");
    let unix = UnixListener::bind(&socket).unwrap();
    package.write(
        "call.py",
        &format!(
            "import socket, sys, subprocess\n\
             def attempt(call):\n    \
                 try:\n        call(); return 'done'\n    \
                 except OSError as error:\n        return str(error.errno)\n\
             def unix(kind):\n    return socket.socket(socket.AF_UNIX, kind).connect('{socket}')\n\
             def datagrams():\n    \
                 socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', '{socket}')\n\
             found = [\n    \
                 attempt(lambda: socket.create_connection(('127.0.0.1', {tcp}))),\n    \
                 attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp}))),\n    \
                 attempt(lambda: socket.socket(socket.AF_INET6)),\n    \
                 attempt(lambda: unix(socket.SOCK_STREAM)),\n    \
                 attempt(datagrams),\n    \
                 attempt(lambda: socket.socketpair()),\n\
             ]\n\
             open(sys.argv[1], 'w').write(' '.join(found))\n",
            socket = socket.display(),
            tcp = tcp.local_addr().unwrap().port(),
            udp = udp.local_addr().unwrap().port(),
        ),
    );
    package.succeed(&["build", "--sandbox", "caller"]);
    // EPERM for all but a pair of streams, which leads nowhere.
    assert_eq!(package.built("said"), "1 1 1 1 1 done");
    for listener in
        [tcp.set_nonblocking(true), udp.set_nonblocking(true), unix.set_nonblocking(true)]
    {
        listener.unwrap();
    }
    assert_eq!(tcp.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(udp.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(unix.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let text = package.fail(&["build", "--sandbox", "loud"]);
    assert!(text.contains("it tried to use a network, but there is none in the sandbox"), "{text}");
}

#[test]
fn nothing_is_written_but_outputs() {
    let package = Package::new(
        "\n[[command]]\nname = \"vandal\"\ninputs = [\"vandal.sh\", \"src/a.c\"]\noutputs = [\"out\"]\n\
         run = [\"sh\", \"vandal.sh\", \"{out}\"]\n\
         [[command]]\nname = \"loud\"\noutputs = [\"loud\"]\nrun = [\"sh\", \"-c\", \"echo x > src/new\"]\n",
    );
    package.write("src/a.c", "int a;\n");
    package.write(
        "vandal.sh",
        &format!(
            "exec 2>/dev/null\n\
             echo x > src/a.c; echo x >> vandal.sh; echo x > src/new; rm src/a.c; mv src/a.c src/b.c\n\
             mkdir new; ln -s x new; rm -rf .larder/build; echo x > .larder/build/other\n\
             echo x > .larder/index; echo x > {home}/.profile; rm -rf {home}\n\
             truncate -s 0 src/a.c; chown 1:1 src/a.c\n\
             mknod $TMPDIR/device b 7 0 && echo made\n\
             echo fine > $1\n",
            home = package.home().display()
        ),
    );
    let before = contents(&package.root());
    let text = package.succeed(&["build", "--sandbox", "vandal"]);
    assert!(!text.contains("made"), "{text}");
    let mut after = contents(&package.root());
    after.retain(|path, _| !path.starts_with(".larder"));
    assert_eq!(before, after);
    assert_eq!(package.built("out"), "fine\n");
    assert_eq!(files::files(&package.home()).len(), 1);
    let text = package.fail(&["build", "--sandbox", "loud"]);
    assert!(text.contains("it tried to write /package/src/new"), "{text}");
    assert!(text.contains("below {outdir}"), "{text}");
}

#[test]
fn no_link_leads_out_of_the_package() {
    let package = Package::new(
        "\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nincludes = [\"stolen\"]\n\
         [[command]]\nname = \"linked\"\ninputs = [\"data\"]\noutputs = [\"linked\"]\n\
         run = [\"cat\", \"data/link\"]\n\
         [[command]]\nname = \"output\"\noutputs = [\"output\"]\n\
         run = [\"sh\", \"-c\", \"ln -s SECRET {out}\"]\n\
         [[command]]\nname = \"within\"\noutputs = [\"keys/id_rsa\"]\n\
         run = [\"sh\", \"-c\", \"cd {outdir}; rmdir keys; ln -s HOME/.ssh keys\"]\n\
         [[command]]\nname = \"inside\"\noutputs = [\"inside/\"]\n\
         run = [\"sh\", \"-c\", \"ln -s SECRET {out}/key\"]\n",
    );
    let manifest = fs::read_to_string(package.root().join("larder.toml")).unwrap();
    let manifest = manifest.replace("SECRET", package.secret().to_str().unwrap());
    package.write("larder.toml", &manifest.replace("HOME", package.home().to_str().unwrap()));
    package.write("x.c", "#include <id_rsa>\n");
    package.write("data/plain", "");
    symlink(package.home().join(".ssh"), package.root().join("stolen")).unwrap();
    symlink(package.secret(), package.root().join("data/link")).unwrap();
    for target in ["x", "linked", "output", "within", "inside"] {
        let (code, text) = package.run(&["build", "--sandbox", target]);
        assert_ne!(code, 0, "{target}: {text}");
        package.assert_secret(&text);
    }
}

/// A manifest names the compiler, and larder asks compilers who they are before anything is built.
#[test]
fn a_compiler_is_confined_from_its_first_word() {
    let package = Package::new(
        "\n[toolchain]\ncc = \"tools/cc\"\n\
         [[executable]]\nname = \"x\"\nsources = [\"x.c\"]\n",
    );
    package.write("x.c", "int main(void) { return 0; }\n");
    package.script(
        "tools/cc",
        &format!(
            "#!/bin/sh\necho $TOKEN > stolen\ncat {} > stolen\necho $TOKEN >&2\nexec gcc \"$@\"\n",
            package.secret().display()
        ),
    );
    let text = package.succeed(&["build", "--sandbox"]);
    assert!(!package.root().join("stolen").exists());
    package.assert_secret(&text);
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let package = Package::new(
        "\n[[command]]\nname = \"daemon\"\noutputs = [\"pid\"]\n\
         run = [\"sh\", \"-c\", \"sleep 1000 >/dev/null 2>&1 & echo $! > {out}\"]\n",
    );
    package.succeed(&["build", "--sandbox"]);
    let process = PathBuf::from("/proc").join(package.built("pid").trim());
    // It was told to end; it may still be on its way.
    for _ in 0..500 {
        let gone = fs::read_to_string(process.join("cmdline")).is_ok_and(|line| line.is_empty());
        if gone || !process.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it still runs");
}

#[test]
fn no_signal_reaches_other_processes() {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    if (numbers.next(), numbers.next()) < (Some(6), Some(12)) {
        return; // As docs/sandbox.md says.
    }
    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    let package = Package::new(&format!(
        "\n[[command]]\nname = \"c\"\noutputs = [\"c\"]\n\
         run = [\"sh\", \"-c\", \"kill -9 $PPID; kill -9 {}; kill $$\"]\n",
        bystander.id()
    ));
    let text = package.fail(&["build", "--sandbox"]);
    assert!(text.contains("was ended by signal 15"), "{text}");
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

/// On a kernel without Landlock, which the filter of the calling thread pretends to be.
#[test]
fn no_other_process_is_slowed_down_and_no_namespace_made() {
    let package = Package::new(
        "[[command]]\nname = \"m\"\ninputs = [\"mean\"]\noutputs = [\"m\"]\nrun = [\"sh\", \"mean\", \"{out}\"]\n",
    );
    // The test itself: it is the user's, and not the command's.
    let victim = std::process::id();
    let scheduling = || {
        let read = |file: &str| fs::read_to_string(format!("/proc/{victim}/{file}")).unwrap();
        let stat = read("stat");
        let nice = stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().to_owned();
        let status = read("status");
        let processors = status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap();
        (nice, processors.to_owned())
    };
    let before = scheduling();
    package.write(
        "mean",
        &format!(
            "try() {{ \"$@\" >/dev/null 2>&1 && echo \"$*\"; }}\n\
             {{\n\
             try renice -n 7 -p {victim}\n\
             try taskset -p 1 {victim}\n\
             try ionice -c 3 -p {victim}\n\
             try chrt -b -p 0 {victim}\n\
             try unshare -U true\n\
             try unshare -m true\n\
             try unshare -n true\n\
             echo of its own:\n\
             try nice -n 1 true\n\
             try ionice -c 3 true\n\
             try sh -c 'true & wait'\n\
             }} > \"$1\"\n"
        ),
    );
    package.succeed(&["build", "--sandbox"]);
    assert_eq!(scheduling(), before);
    let own = "nice -n 1 true\nionice -c 3 true\nsh -c true & wait\n";
    assert_eq!(package.built("m"), format!("of its own:\n{own}"));
}

#[test]
fn without_landlock_nothing_is_built() {
    let package = Package::new(
        "\n[[command]]\nname = \"c\"\noutputs = [\"c\"]\nrun = [\"touch\", \"{out}\"]\n",
    );
    let without = |errno: i32, arguments: &[&str]| {
        let mut larder = package.larder(arguments);
        let run = move || {
            let calls = [(libc::SYS_landlock_create_ruleset, Vec::new())];
            let filter = SeccompFilter::new(
                calls.into_iter().collect(),
                SeccompAction::Allow,
                SeccompAction::Errno(errno as u32),
                std::env::consts::ARCH.try_into().unwrap(),
            );
            let program: BpfProgram = filter.unwrap().try_into().unwrap();
            seccompiler::apply_filter(&program).unwrap();
            larder.output().unwrap()
        };
        shown(Run::of(thread::spawn(run).join().unwrap()))
    };
    for (errno, why) in [
        (libc::ENOSYS, "this kernel has none, or a container forbids it"),
        (libc::EOPNOTSUPP, "switched off (add `landlock` to its `lsm=` parameter)"),
    ] {
        let (code, text) = without(errno, &["build", "--sandbox"]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("--sandbox needs Linux 6.2 or later with Landlock"), "{text}");
        assert!(text.contains(why), "{text}");
        assert!(!package.root().join(".larder/build").exists());
    }
    let (code, text) = without(libc::ENOSYS, &["build"]);
    assert_eq!(code, 0, "without --sandbox nothing is missing: {text}");
}
