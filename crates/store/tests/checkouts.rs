//! Checkouts in offline stores: what is read is what was baked, or nothing.

use std::{
    fs::{self, File},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use larder_store::{
    Mappings, Store,
    offline::{self, Checkout, Objects, Recipe},
    pack::{Entry, Options, create},
};
use larder_testkit::files::names;
use larder_trace::ContentHash;
use tempfile::{TempDir, tempfile};

const ONE: &str = "1111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222";

struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn offline(&self) -> PathBuf {
        self.0.path().join("offline")
    }

    fn packs(&self) -> usize {
        names(&self.offline().join("packs")).len()
    }

    /// Bakes nothing but the objects of these commits, as of a dependency `lib`.
    fn bake(&self, package: &str, commits: &[(&str, &[u8])]) {
        let store = Store::open(self.0.path().join("store")).unwrap();
        let objects = commits.iter().map(|(commit, content)| {
            let mut file = tempfile().unwrap();
            file.write_all(content).unwrap();
            Objects { package: "lib".parse().unwrap(), commit: commit.parse().unwrap(), file }
        });
        let objects: Vec<Objects> = objects.collect();
        let recipe = Recipe {
            package: package.parse().unwrap(),
            platform: None,
            targets: Vec::new(),
            toolchain: Vec::new(),
        };
        let (mappings, options) = (Mappings::default(), Options::default());
        offline::add(&store, &mappings, &objects, &self.offline(), recipe, &options, |_| ())
            .unwrap();
    }

    fn checkout(&self, commit: &str) -> Checkout {
        let all = offline::checkouts(&self.offline()).unwrap();
        all.into_iter().find(|checkout| checkout.commit.as_str() == commit).unwrap()
    }

    fn pack_of(&self, checkout: &Checkout) -> PathBuf {
        self.offline().join("packs").join(format!("{}.pack", checkout.pack))
    }
}

fn read(directory: &Path, checkout: &Checkout) -> Result<Vec<u8>, String> {
    let mut file: File = tempfile().unwrap();
    offline::copy_checkout(directory, checkout, &file)?;
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    Ok(content)
}

#[test]
fn packages_share_commits_and_what_nobody_names_goes() {
    let scene = Scene::new();
    let (one, two) = (&b"objects of one"[..], &[7; 5 << 20][..]);
    scene.bake("app", &[(TWO, two), (ONE, one)]);
    scene.bake("other", &[(ONE, one)]);
    // Two with the mappings of each package, which are the same, and two of the commits.
    assert_eq!(scene.packs(), 3);
    assert_eq!(offline::checkouts(&scene.offline()).unwrap().len(), 3);
    for (commit, content) in [(ONE, one), (TWO, two)] {
        assert_eq!(read(&scene.offline(), &scene.checkout(commit)).unwrap(), content);
    }
    scene.bake("app", &[(TWO, two)]);
    assert_eq!(scene.packs(), 3, "`other` needs it still");
    scene.bake("other", &[]);
    assert_eq!(scene.packs(), 2);
    let report = offline::verify(&scene.offline(), |_| Ok(()), |_| ()).unwrap();
    assert_eq!((report.complete.len(), report.checkouts, report.problems.len()), (2, 1, 0));
    // What is wrong with a commit is wrong with the bake that needs it, and said once.
    scene.bake("other", &[(TWO, two)]);
    let wrong = |_: &Checkout| Err("no commit at all".to_owned());
    let report = offline::verify(&scene.offline(), wrong, |_| ()).unwrap();
    assert_eq!((report.complete.len(), report.checkouts, report.bytes), (0, 0, 0));
    let problem = (format!("the checkout of lib at {TWO}"), "no commit at all".to_owned());
    assert_eq!(report.problems, [problem]);
}

#[test]
fn every_byte_counts() {
    let scene = Scene::new();
    scene.bake("app", &[(ONE, b"objects")]);
    let checkout = scene.checkout(ONE);
    let path = scene.pack_of(&checkout);
    let right = fs::read(&path).unwrap();
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 0x10;
        fs::write(&path, wrong).unwrap();
        assert!(read(&scene.offline(), &checkout).is_err(), "byte {at}");
    }
    fs::write(&path, &right[..right.len() - 1]).unwrap();
    assert!(read(&scene.offline(), &checkout).is_err());
    fs::remove_file(&path).unwrap();
    assert!(read(&scene.offline(), &checkout).unwrap_err().contains("No such file"));
    // A pack with more in it than one commit.
    let entry = |content: &[u8]| Entry {
        hash: ContentHash::of_bytes(content),
        size: content.len() as u64,
        hint: String::new(),
    };
    let (one, two) = (entry(b"one"), entry(b"two"));
    let open = |asked: &Entry| Ok(if *asked == one { &b"one"[..] } else { &b"two"[..] });
    let made = scene.0.path().join("two.pack");
    create(&made, vec![one.clone(), two], open, None, &Options::default(), |_| ()).unwrap();
    let pack = larder_store::pack::Pack::open(&made, &Default::default()).unwrap();
    let checkout = Checkout { pack: pack.id(), length: pack.length(), ..checkout };
    fs::rename(made, scene.pack_of(&checkout)).unwrap();
    let refused = read(&scene.offline(), &checkout).unwrap_err();
    assert!(refused.contains("is no pack with a checkout"), "{refused}");
}

#[test]
fn names_in_the_index_are_plain() {
    let scene = Scene::new();
    scene.bake("app", &[(ONE, b"objects")]);
    let index = scene.offline().join(offline::INDEX_NAME);
    let text = fs::read_to_string(&index).unwrap();
    let start = text.find("\"bakes\":").unwrap() + 8;
    let bakes = &text[start..text.rfind('}').unwrap()];
    for (from, to) in [
        ("\"lib\"".to_owned(), "\"../lib\""),
        (format!("\"{ONE}\""), "\"../../x\""),
        (format!("\"{ONE}\""), "\"-x\""),
        (format!("\"{}\"", scene.checkout(ONE).pack), "\"../../x\""),
    ] {
        let bakes = bakes.replace(&from, to);
        let checksum = ContentHash::of_bytes(bakes.as_bytes());
        let hostile =
            format!("{{\"schemaVersion\":\"1\",\"checksum\":\"{checksum}\",\"bakes\":{bakes}}}\n");
        assert_ne!(hostile, text);
        fs::write(&index, hostile).unwrap();
        assert!(offline::checkouts(&scene.offline()).is_err(), "{to}");
    }
}
