//! A short fuzz run of everything that comes from outside, the same every time. `cargo fuzz run TARGET`
//! in `fuzz/` runs the same entries for as long as one likes.

#[path = "../../../fuzz/src/entries.rs"]
mod entries;

use std::panic;

use larder_store::pack;
use larder_trace::ContentHash;

/// Calls `entry` with `seeds` and with `rounds` things made from them.
fn run(entry: fn(&[u8]), seeds: &[Vec<u8>], words: &[&str], rounds: u32) {
    let mut rng = fastrand::Rng::with_seed(0x1a4d_e41a_4de4);
    let mut corpus = seeds.to_vec();
    let try_one = |bytes: &[u8]| {
        if let Err(cause) = panic::catch_unwind(|| entry(bytes)) {
            println!("fails on {:?}", String::from_utf8_lossy(bytes));
            panic::resume_unwind(cause);
        }
    };
    seeds.iter().for_each(|seed| try_one(seed));
    for _ in 0..rounds {
        let mut bytes = rng.choice(&corpus).cloned().unwrap_or_default();
        for _ in 0..rng.u32(1..=4) {
            mutate(&mut bytes, &corpus, words, &mut rng);
        }
        try_one(&bytes);
        // Now and then, a changed text is changed again.
        if rng.u32(..8) == 0 && corpus.len() < 200 {
            corpus.push(bytes);
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str], rng: &mut fastrand::Rng) {
    let at = rng.usize(..=bytes.len());
    let end = rng.usize(at..=bytes.len().min(at + 40));
    match rng.u32(..7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.u32(..8),
        1 if at < bytes.len() => bytes[at] = rng.u8(..),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes[at..end].to_vec();
            let to = rng.usize(..=bytes.len());
            bytes.splice(to..to, copy);
        }
        5 => {
            let word = rng.choice(words).copied().unwrap_or_default();
            bytes.splice(at..end, word.bytes());
        }
        _ => {
            let other = rng.choice(corpus).cloned().unwrap_or_default();
            let from = rng.usize(..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

fn hash(text: &str) -> ContentHash {
    ContentHash::of_bytes(text.as_bytes())
}

fn mappings_seed() -> String {
    let (dep, a, b) = (hash("dep"), hash("a"), hash("b"));
    format!(
        "\"1\"\n[\"{dep}\",{{\"outputs\":[{{\"path\":\"a.o\",\"hash\":\"{a}\",\"size\":1,\
         \"executable\":true}},{{\"path\":\"d/b\",\"hash\":\"{b}\",\"size\":1}}],\
         \"directories\":[\"e\"],\"discovered\":[{{\"path\":\"src/a.h\",\"hash\":\"{b}\"}}],\
         \"log\":[{{\"level\":\"warning\",\"message\":\"unused\"}}]}}]\n"
    )
}

fn pack_seed(contents: &[&str], mappings: Option<&str>) -> Vec<u8> {
    let entry = |content: &&str| pack::Entry {
        hash: hash(content),
        size: content.len() as u64,
        hint: String::new(),
    };
    let mut out = Vec::new();
    let open = |entry: &pack::Entry| {
        let content = contents.iter().find(|it| hash(it) == entry.hash);
        content.map(|it| it.as_bytes()).ok_or(std::io::ErrorKind::NotFound.into())
    };
    let entries = contents.iter().map(entry).collect();
    let mappings = mappings.map(str::as_bytes);
    pack::write(&mut out, entries, open, mappings, &pack::Options::default(), |_| ()).unwrap();
    out
}

#[test]
fn packs() {
    let seeds = [
        pack_seed(&[], None),
        pack_seed(&["", "one", "another one"], None),
        pack_seed(&["a", "b"], Some(&mappings_seed())),
    ];
    run(
        entries::pack,
        &seeds,
        &["\0\0\0\0", "\x01\0\0\0", "\x7f\x7f\x7f\x7f", "LARDER\n"],
        100_000,
    );
}

#[test]
fn mappings() {
    let seeds = [mappings_seed().into_bytes(), b"\"1\"\n".to_vec(), b"\"2\"\n".to_vec()];
    let words =
        ["\"path\":\"../x\"", "/", "\\", "\0", "[", "]", "{}", "\"1\"\n", "-1", "1e99", "null"];
    run(entries::mappings, &seeds, &words, 100_000);
}

#[test]
fn locks() {
    let seed = format!(
        "# larder\nversion = 1\n\n[[package]]\nname = \"zlib\"\ngit = \"https://example.org/z\"\n\
         rev = \"v1\"\ncommit = \"{}\"\n",
        &hash("commit").to_string()[..40]
    );
    let words =
        ["[[package]]\n", "version = 2\n", "\"", "''", "\n", "=", "..", "é", "rev = \"-x\"\n"];
    run(entries::lock, &[seed.into_bytes(), b"version = 1\n".to_vec()], &words, 40_000);
}

#[test]
fn manifests() {
    let seeds: Vec<Vec<u8>> = ["ci", "lua", "report", "zlib", "zstd"]
        .iter()
        .map(|name| format!("{}/../../examples/{name}/larder.toml", env!("CARGO_MANIFEST_DIR")))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let words = [
        "[package]\n",
        "[[command]]\n",
        "[ci.jobs.x]\n",
        "{out}",
        "{",
        "}}",
        "\"",
        "''",
        "[]",
        "é",
        "..",
        "*",
        "name = \"\"\n",
        "= 1979-05-27\n",
        "@a/b:o",
    ];
    run(entries::manifest, &seeds, &words, 40_000);
}

#[test]
fn build_files_of_ninja() {
    let seed = "ninja_required_version = 1.5\npool p\n  depth = 2\nrule cc\n  command = cc $in -o $out $flags\n  \
                depfile = $out.d\n  deps = gcc\n  dyndep = dd\nbuild a.o | a.d: cc a.c | b.h || dd |@ v\n  pool = p\n  \
                flags = -O$ $$x ${y}\nbuild v: phony a.o $\n  b\ndefault v\n";
    let dyndep = "ninja_dyndep_version = 1\nbuild a.o | a.mod: dyndep | b.mod\n  restat = 1\n";
    let words = [
        "$", "${", "\n  ", ":", "|", "||", "|@", "build ", "rule x\n", "\r\n", "\t", "#", "../",
        "$in", "é",
    ];
    run(entries::ninja, &[seed.into(), dyndep.into()], &words, 40_000);
}
