//! Servers by address and by configuration, and those that cannot do everything.

use larder_testkit::{
    clusters::{Behaviour, BuildGrid, Casd, Faulty, Member, Team, Workers},
    project::Project,
};

use crate::support::{build, built_here, demo, same, try_build};

/// A project with this configuration of services.
fn configured(text: &str) -> Project {
    let project = demo();
    project.file(".config/larder.toml", text);
    project
}

/// Builds with the project's configuration and these arguments; gives the exit code, and what was said.
fn run(project: &Project, arguments: &[&str]) -> (i32, String) {
    let mut command = project.command(&[&["--color", "never", "-v", "build"], arguments].concat());
    command.env("LARDER_CONFIG", project.path(".config/larder.toml"));
    let (code, stdout, stderr) = larder_testkit::run::run(command).parts();
    (code, stdout + &stderr)
}

#[test]
fn what_is_not_there_or_not_allowed_leaves_a_local_build() {
    let project = demo();
    let here = built_here(&project);
    let servers = [
        Faulty::start(Behaviour { instance: "main".to_owned(), ..Behaviour::default() }),
        Faulty::start(Behaviour {
            header: Some(("authorization", "Bearer x")),
            ..Behaviour::default()
        }),
        Faulty::start(Behaviour { executes: false, takes_results: false, ..Behaviour::default() }),
    ];
    let urls = servers
        .iter()
        .map(Faulty::url)
        .chain(["grpc://127.0.0.1:1".into(), "unix:/nowhere/at/all".into()]);
    for url in urls {
        let again = project.elsewhere();
        let outcome = build(&again, &url);
        assert_eq!(outcome.with("built", "local").len(), 7, "{url}: {:?}", outcome.steps);
        same(&again.outputs(), &here);
    }
}

#[test]
fn what_is_known_there_needs_no_compiler_here() {
    let tools = tempfile::tempdir().unwrap();
    let (compiler, broken) = (tools.path().join("cc"), tools.path().join("broken"));
    // It answers questions about itself, and compiles as long as it is whole.
    let script = format!(
        "case \" $* \" in *\" -o \"*.c*) [ ! -e {} ] || exit 1;; esac\nexec gcc \"$@\"\n",
        broken.display()
    );
    larder_testkit::files::script(&compiler, &script);
    let manifest = "[[executable]]\nname = \"p\"\nsources = [\"*.c\"]\n";
    let toolchain = format!("[toolchain]\ncc = \"{}\"\n\n", compiler.display());
    let project = Project::new(&(toolchain + manifest));
    project.file("p.c", "int q(void);\nint main(void) { return q(); }\n");
    project.file("q.c", "int q(void) { return 0; }\n");
    let server = Faulty::start(Behaviour::default());
    assert_eq!(build(&project, &server.url()).with("built", "remote").len(), 3);
    std::fs::write(&broken, "").unwrap();
    let second = project.elsewhere();
    assert_eq!(build(&second, &server.url()).with("restored", "remote-cache").len(), 3);
    same(&second.outputs(), &project.outputs());
    let here = project.elsewhere().larder(&["build", "--remote", "none"]);
    assert_eq!(here.code, Some(1), "{}", here.stderr);
}

#[test]
fn a_service_of_the_configuration_is_used_with_its_headers_and_instance() {
    let header = Some(("authorization", "Bearer secret-7"));
    let server =
        Faulty::start(Behaviour { instance: "main".to_owned(), header, ..Behaviour::default() });
    let project = configured(&format!(
        "[[cache.service]]\nname = \"farm\"\nkind = \"reapi\"\nurl = \"{}\"\ninstance = \"main\"\n\
         headers = {{ authorization = \"Bearer secret-7\" }}\n",
        server.url()
    ));
    let (code, said) = run(&project, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("7 built (7 remotely)"), "{said}");
    assert_eq!(said.matches(" (remotely)").count(), 7, "{said}");
    assert!(!said.contains("secret-7"), "{said}");
    project.forget();
    let (code, said) = run(&project, &["--no-cache", "--remote", "farm"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("7 restored (7 known remotely)"), "{said}");
    assert_eq!(said.matches(" (known remotely)").count(), 7, "{said}");
    project.forget();
    let (_, said) = run(&project, &["--no-cache", "--remote", "none"]);
    assert!(said.contains("7 built in"), "{said}");
}

#[test]
fn results_of_sandboxed_commands_are_uploaded_where_that_is_wanted() {
    let server = Faulty::start(Behaviour { executes: false, ..Behaviour::default() });
    let service = |upload: bool| {
        let url = server.url();
        format!(
            "[[cache.service]]\nname = \"farm\"\nkind = \"reapi\"\nurl = \"{url}\"\nupload = {upload}\n"
        )
    };
    let project = configured(&service(false));
    let (_, said) = run(&project, &["--sandbox"]);
    assert!(said.contains("7 built in"), "{said}");
    assert_eq!(server.counts().calls.get("UpdateActionResult"), None);
    // What is not confined may have read what nobody declared.
    let project = configured(&service(true));
    run(&project, &[]);
    assert_eq!(server.counts().calls.get("UpdateActionResult"), None);
    let project = configured(&service(true));
    let (_, said) = run(&project, &["--sandbox"]);
    assert!(said.contains("7 built in"), "{said}");
    assert_eq!(server.counts().calls.get("UpdateActionResult"), Some(&7), "{said}");
    let other = project.elsewhere();
    let known = build(&other, &server.url());
    assert_eq!(known.with("restored", "remote-cache").len(), 7, "{:?}", known.steps);
    same(&other.outputs(), &built_here(&project));
}

#[test]
fn a_server_that_only_keeps_results_serves_what_ci_has_uploaded() {
    let Some(server) = BuildGrid::start() else { return };
    let service = |more: &str| {
        let (url, instance) = (server.url(), BuildGrid::INSTANCE);
        format!(
            "[[cache.service]]\nname = \"grid\"\nkind = \"reapi\"\nurl = \"{url}\"\ninstance = \"{instance}\"\n{more}"
        )
    };
    let ci = configured(&service("upload = true\n"));
    let (_, said) = run(&ci, &["--sandbox"]);
    assert!(said.contains("7 built in") && said.contains("runs no actions"), "{said}");
    let other = configured(&service(""));
    let (_, said) = run(&other, &[]);
    assert!(said.contains("7 restored (7 known remotely)"), "{said}");
    same(&other.outputs(), &built_here(&other));
    // The instance without a name is none of its own.
    let unnamed = build(&demo(), &server.url());
    assert_eq!(unnamed.with("built", "local").len(), 7, "{:?}", unnamed.steps);
}

#[test]
fn of_a_team_everybody_runs_commands_and_ci_alone_writes_results() {
    let Some(server) = Casd::start(Workers::Same) else { return };
    let Some(team) = Team::of(&server) else { return };
    let developer = configured(&team.service(Member::Developer));
    let (_, said) = run(&developer, &[]);
    assert!(said.contains("7 built (7 remotely)"), "{said}");
    let other = configured(&team.service(Member::Developer));
    let (_, said) = run(&other, &[]);
    assert!(said.contains("7 restored (7 known remotely)"), "{said}");
    same(&other.outputs(), &built_here(&developer));
    // Each changes the same file, has it built here, and would have the others take what came of it.
    for (member, known) in [(Member::Developer, 0), (Member::Ci, 1)] {
        let edited =
            || configured(&format!("{}execute = false\nupload = true\n", team.service(member)));
        let edit = |project: &Project| {
            project.file("greet/other.c", format!("int other(void) {{ return {known}4; }}\n"));
        };
        let project = edited();
        edit(&project);
        let (code, said) = run(&project, &["--sandbox"]);
        assert_eq!(code, 0, "{said}");
        let reader = configured(&team.service(Member::Developer));
        edit(&reader);
        let steps = build(&reader, "farm").steps;
        let (_, ran) = &steps["obj/libgreet/greet/other.c.o"];
        assert_eq!(ran, if known == 1 { "remote-cache" } else { "remote" }, "{steps:?}");
    }
}

#[test]
fn wrong_settings_are_refused_with_their_reason() {
    for (url, reason) in [
        ("http://127.0.0.1:1", "no address of a server"),
        ("grpc://127.0.0.1", "does not name a host and its port"),
        ("grpc://me:pw@127.0.0.1:1", "no user or password"),
        ("farm", "no service is named \"farm\""),
    ] {
        let outcome = try_build(&demo(), url, &[]);
        assert_eq!(outcome.run.code, Some(2), "{url}");
        let said = format!("{}{}", outcome.run.stdout, outcome.run.stderr);
        assert!(said.replace("\\\"", "\"").contains(reason), "{url}: {said}");
        assert!(!said.contains("pw@"), "{said}");
    }
    let table = "[[cache.service]]\nname = \"farm\"\n";
    for (more, reason) in [
        ("kind = \"reapi\"\nurl = \"grpc://10.1.2.3:1\"\nheaders = { a = \"b\" }", "unencrypted"),
        ("kind = \"reapi\"\nurl = \"grpcs://10.1.2.3:1\"\nclient-key = \"k\"", "belong together"),
        ("kind = \"reapi\"\nurl = \"grpcs://10.1.2.3:1\"\nregion = \"k\"", "not of kind"),
        ("url = \"file:///x\"\nupload = true", "of kind \"reapi\" only"),
    ] {
        let (code, said) = run(&configured(&format!("{table}{more}\n")), &["--remote", "farm"]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn a_server_with_tls_is_asked_with_the_certificates_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let (server, [ca, certificate, key]) = Faulty::with_tls(Behaviour::default(), directory.path());
    let table = |files: &str| {
        let url = server.tls_url();
        format!("[[cache.service]]\nname = \"farm\"\nkind = \"reapi\"\nurl = \"{url}\"\n{files}")
    };
    let file = |key: &str, path: &std::path::Path| format!("{key} = \"{}\"\n", path.display());
    let trusted = file("ca-certificates", &ca);
    let both =
        [trusted.clone(), file("client-certificate", &certificate), file("client-key", &key)];
    let (code, said) = run(&configured(&table(&both.concat())), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("7 built (7 remotely)"), "{said}");
    // Neither a server that nobody trusts nor one that trusts nobody is of any use, or does any harm.
    for files in ["", &trusted] {
        let (code, said) = run(&configured(&table(files)), &[]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("7 built in"), "{said}");
    }
    let missing = file("ca-certificates", "/nowhere/ca.pem".as_ref());
    let (code, said) = run(&configured(&table(&missing)), &["--remote", "farm"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("cannot read /nowhere/ca.pem"), "{said}");
}

#[test]
fn workers_with_other_headers_of_the_system_leave_a_cache() {
    let programs = tempfile::tempdir().unwrap();
    // Their tools are the same, and their headers are not.
    let script = "case \"$*\" in *system) exit 1;; esac; exec /usr/bin/sha256sum \"$@\"\n";
    larder_testkit::files::script(&programs.path().join("sha256sum"), script);
    let programs = Some(programs.path().to_owned());
    let server = Faulty::start(Behaviour { programs, jobs: 1, ..Behaviour::default() });
    let project = demo();
    let (code, said) = run(&project, &["--remote", &server.url()]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches("have other headers of the system than").count(), 1, "{said}");
    // What includes none of them runs there.
    assert!(said.contains("7 built"), "{said}");
    same(&project.outputs(), &built_here(&project));
}
