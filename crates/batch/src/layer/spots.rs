//! Paths of layers in files, and names for them.

use std::path::{Path, PathBuf};

use memchr::memmem;

/// Every name begins so.
const MARK: &str = "@larder-prefix";

/// The paths that have names in the texts of one layer: its own, and those of the layers that it was built with.
#[derive(Debug, Clone)]
pub struct Spots {
    /// Paths and names; one that begins with another comes first.
    spots: Vec<(String, String)>,
}

impl Spots {
    /// The layer at `own`, built with `needs` by name. Where `own` is among these, it keeps its own name: whoever looks at what it
    /// needs passes all that it needs.
    pub fn new(own: &Path, needs: &[(String, PathBuf)]) -> Self {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut spots = vec![(text(own), format!("{MARK}@"))];
        let others = needs.iter().filter(|(_, path)| path != own);
        spots.extend(others.map(|(name, path)| (text(path), format!("{MARK}:{name}@"))));
        spots.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        Self { spots }
    }

    /// Whether any of the paths stands in `bytes`.
    pub fn stand_in(&self, bytes: &[u8]) -> bool {
        self.spots.iter().any(|(path, _)| find(bytes, path).next().is_some())
    }

    /// Returns a text with names for the paths; `None` where it is no text, or has such a name already: then it
    /// could not be turned back.
    pub fn named(&self, text: &[u8]) -> Option<Vec<u8>> {
        let plain = !text.contains(&0) && memmem::find(text, MARK.as_bytes()).is_none();
        plain.then(|| {
            let pairs = self.spots.iter().map(|(path, name)| (path.as_str(), name.as_str()));
            pairs.fold(text.to_owned(), |text, (path, name)| {
                replaced(&text, find(&text, path), path, name)
            })
        })
    }

    /// Returns a text with the paths for their names.
    pub fn placed(&self, text: &[u8]) -> Vec<u8> {
        let pairs = self.spots.iter().map(|(path, name)| (path.as_str(), name.as_str()));
        pairs.fold(text.to_owned(), |text, (path, name)| {
            let found: Vec<usize> = memmem::find_iter(&text, name.as_bytes()).collect();
            replaced(&text, found, name, path)
        })
    }
}

/// Returns where `path` stands in `bytes`, and no longer path that begins so.
pub fn find<'b>(bytes: &'b [u8], path: &'b str) -> impl Iterator<Item = usize> + use<'b> {
    let ends = |end: usize| {
        let next = bytes.get(end);
        next.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || b"_-.+~".contains(byte)))
            // The end of a sentence.
            || next == Some(&b'.') && bytes.get(end + 1).is_none_or(u8::is_ascii_whitespace)
    };
    memmem::find_iter(bytes, path.as_bytes()).filter(move |at| ends(at + path.len()))
}

/// Returns `bytes` with `new` for what is as long as `old` at each of these positions.
pub fn replaced(
    bytes: &[u8],
    at: impl IntoIterator<Item = usize>,
    old: &str,
    new: &str,
) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for at in at {
        all.extend_from_slice(&bytes[done..at]);
        all.extend_from_slice(new.as_bytes());
        done = at + old.len();
    }
    all.extend_from_slice(&bytes[done..]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(root: &str) -> Spots {
        let need =
            |name: &str, hash: &str| (name.to_owned(), PathBuf::from(format!("{root}/{hash}")));
        Spots::new(Path::new(&format!("{root}/h1")), &[need("zlib", "h12"), need("png", "h3")])
    }

    #[test]
    fn paths_in_texts_have_names_and_come_back() {
        let here = spots("/a/layers");
        for (text, named) in [
            ("prefix=/a/layers/h1\n", "prefix=@larder-prefix@\n"),
            (
                "-L/a/layers/h12/lib -I/a/layers/h3",
                "-L@larder-prefix:zlib@/lib -I@larder-prefix:png@",
            ),
            ("/a/layers/h1", "@larder-prefix@"),
            ("It is in /a/layers/h1.\n", "It is in @larder-prefix@.\n"),
            (
                "/a/layers/h1-old /a/layers/h1x /a/layers/h2",
                "/a/layers/h1-old /a/layers/h1x /a/layers/h2",
            ),
            ("nothing", "nothing"),
        ] {
            let found = here.named(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&found), named);
            assert_eq!(here.stand_in(text.as_bytes()), named.contains('@'), "{text}");
            assert_eq!(here.placed(&found), text.as_bytes());
            let there = spots("/somewhere/else").placed(&found);
            assert_eq!(spots("/somewhere/else").named(&there), Some(found));
        }
    }

    #[test]
    fn a_layer_keeps_its_own_name_among_what_others_need() {
        let need = |hash: &str| PathBuf::from(format!("/a/layers/{hash}"));
        let needs = [("png".to_owned(), need("h1")), ("zlib".to_owned(), need("h12"))];
        let text = b"prefix=/a/layers/h1 -L/a/layers/h12";
        let alone = Spots::new(&need("h1"), &needs[1..]).named(text);
        assert_eq!(Spots::new(&need("h1"), &needs).named(text), alone);
    }

    #[test]
    fn what_is_no_text_or_has_such_names_is_left_alone() {
        let here = spots("/a/layers");
        assert_eq!(here.named(b"\0/a/layers/h1"), None);
        assert_eq!(here.named(b"@larder-prefix@ /a/layers/h1"), None);
        assert!(here.stand_in(b"\0/a/layers/h1\0"));
    }
}
