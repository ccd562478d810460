use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Lockfile, Diagnostics> {
    Lockfile::parse(&SourceText { path: "/w/larder.lock".into(), text: text.into() })
}

fn pinned(git: &str, rev: Option<&str>, digit: char) -> Pinned {
    let commit = digit.to_string().repeat(40).parse().unwrap();
    Pinned::Git { git: git.to_owned(), rev: rev.map(str::to_owned), commit }
}

#[test]
fn what_is_written() {
    let packages = [
        ("zlib", pinned("https://github.com/madler/zlib", Some("v1.3.1"), '1')),
        ("lua", pinned("../a \"b\\", None, 'a')),
    ];
    let packages = packages.map(|(name, pinned)| (name.to_owned(), pinned)).into();
    let lockfile = Lockfile { packages };
    insta::assert_snapshot!(lockfile, @r#"
    # Written by larder; only `larder update` moves an entry. Check it in.
    version = 1

    [[package]]
    name = "lua"
    git = "../a \"b\\"
    commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

    [[package]]
    name = "zlib"
    git = "https://github.com/madler/zlib"
    rev = "v1.3.1"
    commit = "1111111111111111111111111111111111111111"
    "#);
    assert_eq!(read(&lockfile.to_string()).unwrap(), lockfile);
}

#[test]
fn what_is_wrong_is_pointed_at() {
    let said = |text: &str| read(text).unwrap_err().to_string();
    insta::assert_snapshot!(said("version = 2\nnew = true\n"), @r"
    /w/larder.lock:1:11: the lock file has version 2, and this larder reads version 1: a newer larder wrote it
       |
     1 | version = 2
       |           ^
       = help: restore it from version control, or delete it and let `larder update` write it anew
    ");
    insta::assert_snapshot!(said("packages = []"), @r"
    /w/larder.lock:1:1: the lock file has no version
       |
     1 | packages = []
       | ^
       = help: restore it from version control, or delete it and let `larder update` write it anew
    ");
    insta::assert_snapshot!(said("version = 1\n<<<<<<< HEAD\n"), @r"
    /w/larder.lock:2:9: key with no value, expected `=`
       |
     2 | <<<<<<< HEAD
       |         ^
       = help: restore it from version control, or delete it and let `larder update` write it anew
    ");
    let text = "version = 1\n[[package]]\nname = \"../x\"\n[[package]]\nname = \"a\"\n\
                git = \"ext::sh\"\nrev = \"-x\"\ncommit = \"HEAD\"\nhash = 1\n";
    insta::assert_snapshot!(said(text), @r#"
    /w/larder.lock:3:8: `../x` is not a name
       |
     3 | name = "../x"
       |        ^^^^^^
       = help: names are letters, digits, `_`, `-`, `+` and `.`, starting with a letter or digit
    /w/larder.lock:6: `ext::sh` is no URL of a repository, but something for Git to run
      help: restore it from version control, or delete it and let `larder update` write it anew
    /w/larder.lock:7:7: `-x` is no revision
       |
     7 | rev = "-x"
       |       ^^^^
       = help: restore it from version control, or delete it and let `larder update` write it anew
    /w/larder.lock:8:10: `HEAD` is no commit
       |
     8 | commit = "HEAD"
       |          ^^^^^^
       = help: a commit is 40 or 64 lowercase hex digits
    /w/larder.lock:9:1: unknown key `hash` in the entry of `a`
       |
     9 | hash = 1
       | ^^^^
       = help: the keys are name, git, rev, commit
    "#);
    let one = "[[package]]\nname = \"a\"\ngit = \"/r\"\ncommit = \"1111111111111111111111111111111111111111\"\n";
    insta::assert_snapshot!(said(&format!("version = 1\n{one}{one}")), @r#"
    /w/larder.lock:7:8: there are two entries for `a`
       |
     7 | name = "a"
       |        ^^^
       = help: restore it from version control, or delete it and let `larder update` write it anew
    "#);
}

#[test]
fn archives_are_pinned_by_their_hash() {
    let digits = "0".repeat(64);
    let text = format!(
        "{HEADER}version = 1\n\n[[package]]\nname = \"a\"\nurl = \"https://a.org/a.tar.gz\"\nsha256 = \"{digits}\"\n"
    );
    assert_eq!(read(&text).unwrap().to_string(), text);
    for (from, to, words) in [
        ("https://", "https://u:secret@", "holds a user or a password"),
        ("https", "file", "is no URL of an archive"),
        ("000\"", "\"", "is no hash"),
        ("sha256", "sha1", "unknown key `sha1`"),
        ("\nsha256", "\nblake3 = \"\"\nsha256", "is no hash"),
        ("\nsha256", "\ncommit = \"\"\nsha256", "unknown key `commit`"),
    ] {
        let said = read(&text.replace(from, to)).unwrap_err().to_string();
        assert!(said.contains(words) && !said.contains("secret"), "{said}");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,80}", at in 0usize..200, byte in " -~") {
        let _ = read(&text);
        let mut text = Lockfile {
            packages: [("a".to_owned(), pinned("/r", Some("v1"), '3'))].into(),
        }
        .to_string();
        let at = at.min(text.len());
        text.replace_range(at..(at + 1).min(text.len()), &byte);
        let _ = read(&text);
    }

    #[test]
    fn what_is_written_is_read(
        names in prop::collection::btree_set("[a-z][a-z0-9_.+-]{0,5}", 0..5),
        git in "/[ -~]{0,12}",
        rev in prop::option::of("[a-z](/?[a-z0-9]){0,5}"),
    ) {
        let packages = names.into_iter().map(|name| (name, pinned(&git, rev.as_deref(), 'c')));
        let lockfile = Lockfile { packages: packages.collect() };
        prop_assert_eq!(read(&lockfile.to_string()).unwrap(), lockfile);
    }
}
