//! Reads a line in the form in which larder writes it, several times as fast as JSON in general can be read.
//!
//! A status that no index helps reads hundreds of thousands of lines, and of each it needs a third of the
//! fields. Here the others are passed over from quote to quote. Whatever is not in larder's own form (escapes,
//! blanks between tokens, other spellings of keys, fields given twice) is left to `serde_json`: what both read
//! they read alike, and what this does not read is not broken for that.

use std::borrow::Cow;

use super::{Named, View};
use crate::result::{RunKind, Stage};

/// How deep values may be nested in fields that are passed over.
const DEPTH: u32 = 8;

/// Reads a line without its line feed; `None` where that is `serde_json`'s to do.
pub(super) fn parse(line: &str) -> Option<View<'_>> {
    // With neither of these a string ends at the next quote. All bytes are looked at, many at a time.
    if line.bytes().fold(false, |odd, byte| odd | (byte < 0x20) | (byte == b'\\')) {
        return None;
    }
    let mut fields = Fields::default();
    let mut cursor = Cursor { rest: line };
    cursor.object(|key, cursor| fields.read(key, cursor))?;
    if !cursor.rest.is_empty() {
        return None;
    }
    Some(View {
        ts: fields.ts?.into(),
        run: fields.run?.into(),
        kind: fields.kind.unwrap_or(RunKind::Full),
        stage: fields.stage,
        build_hash: fields.build_hash.unwrap_or_default().into(),
        success: fields.success?,
        category: fields.category?.into(),
        compiler: fields.compiler.unwrap_or_default().into(),
        blessed: fields.blessed.unwrap_or_default(),
        error: fields.error.map(Cow::from),
        failed_dep: None,
        failed_dependencies: fields.failed_dependencies.unwrap_or_default(),
        root_failures: fields.root_failures.unwrap_or_default(),
        folded: false,
    })
}

/// The fields of a [`View`], as far as they have come.
#[derive(Default)]
struct Fields<'a> {
    ts: Option<&'a str>,
    run: Option<&'a str>,
    kind: Option<RunKind>,
    stage: Option<Stage>,
    build_hash: Option<&'a str>,
    success: Option<bool>,
    category: Option<&'a str>,
    compiler: Option<&'a str>,
    blessed: Option<bool>,
    error: Option<&'a str>,
    failed_dependencies: Option<Vec<Named<'a>>>,
    root_failures: Option<Vec<Named<'a>>>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, key: &str, cursor: &mut Cursor<'a>) -> Option<()> {
        match key {
            "ts" => once(&mut self.ts, cursor.string()?),
            "run" => once(&mut self.run, cursor.string()?),
            "kind" => {
                let word = cursor.string()?;
                once(&mut self.kind, RunKind::ALL.into_iter().find(|kind| kind.name() == word)?)
            }
            "stage" => {
                let word = cursor.string()?;
                once(&mut self.stage, Stage::ALL.into_iter().find(|stage| stage.name() == word)?)
            }
            "buildHash" => once(&mut self.build_hash, cursor.string()?),
            "status" => once(&mut self.success, cursor.string()? == "success"),
            "category" => once(&mut self.category, cursor.string()?),
            "compiler" => once(&mut self.compiler, cursor.string()?),
            "blessed" => once(&mut self.blessed, cursor.boolean()?),
            "error" => once(&mut self.error, cursor.string()?),
            "failedDependencies" => once(&mut self.failed_dependencies, cursor.builds()?),
            "rootFailures" => once(&mut self.root_failures, cursor.builds()?),
            // Spellings of other programs.
            "build_hash" | "failedDep" | "failed_dep" => None,
            _ => cursor.pass(DEPTH),
        }
    }
}

/// Fills in a field; `None` where it has been given before.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

/// Where the first quote is. Most strings here are so short that a call of `memchr` costs more than they do.
#[inline]
fn quote(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // A byte is zero where a quote was; of those that are found so, the lowest is one for sure.
        let zero = u64::from_le_bytes(*word) ^ QUOTES;
        let found = zero.wrapping_sub(ONES) & !zero & (ONES << 7);
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == b'"').map(|at| words.len() * 8 + at)
}

/// A place in a line that has no escapes.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Passes this text, which must come next.
    fn token(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// The next byte.
    fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    fn string(&mut self) -> Option<&'a str> {
        let inside = self.rest.strip_prefix('"')?;
        let end = quote(inside.as_bytes())?;
        self.rest = inside.get(end + 1..)?;
        inside.get(..end)
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.peek()? {
            b't' => self.token("true").map(|()| true),
            _ => self.token("false").map(|()| false),
        }
    }

    /// Goes through an object; `read` takes the value of each key.
    fn object(&mut self, mut read: impl FnMut(&'a str, &mut Self) -> Option<()>) -> Option<()> {
        self.token("{")?;
        if self.token("}").is_some() {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.token(":")?;
            read(key, self)?;
            if self.token(",").is_none() {
                return self.token("}");
            }
        }
    }

    /// Goes through an array; `read` takes each item.
    fn array(&mut self, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.token("[")?;
        if self.token("]").is_some() {
            return Some(());
        }
        loop {
            read(self)?;
            if self.token(",").is_none() {
                return self.token("]");
            }
        }
    }

    /// A list of builds, of which only the packages matter.
    fn builds(&mut self) -> Option<Vec<Named<'a>>> {
        let mut builds = Vec::new();
        self.array(|cursor| {
            let mut package = None;
            cursor.object(|key, cursor| match key {
                "package" => once(&mut package, cursor.string()?),
                _ => cursor.pass(DEPTH),
            })?;
            builds.push(Named { package: package?.into() });
            Some(())
        })?;
        Some(builds)
    }

    /// Passes over a value.
    fn pass(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' if depth > 0 => self.object(|_, cursor| cursor.pass(depth - 1)),
            b'[' if depth > 0 => self.array(|cursor| cursor.pass(depth - 1)),
            b't' => self.token("true"),
            b'f' => self.token("false"),
            b'n' => self.token("null"),
            b'0' => self.token("0"),
            b'1'..=b'9' => {
                self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
                Some(())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::Category;
    use crate::history::{self, Entry};
    use crate::result::{BuildRef, Exit, LogFile, Origin, StageResult};

    /// A line with every field that there is.
    fn full_line() -> String {
        let time = Timestamp::UNIX_EPOCH;
        let mut result =
            StageResult::success("fmt.0.9.0".parse().unwrap(), Stage::Build, time, time);
        let root = BuildRef { package: "a.1".parse().unwrap(), build_hash: "h1".parse().ok() };
        result.compiler = "ocaml-base-compiler.5.2.0".parse().ok();
        result.universe = "5a".parse().ok();
        result.solution = "c0".parse().ok();
        result.build_hash = "9f".parse().ok();
        result.dep_hash = "77".parse().ok();
        result.blessed = true;
        result.rule = Some("gcc-error".to_owned());
        result.origin = Origin::Skipped;
        result.attempt = 2;
        result.exit = Some(Exit { code: Some(1), timed_out: true, ..Exit::default() });
        (result.wall_ms, result.cpu_ms, result.jobs) = (Some(1750), Some(0), Some(4));
        result.log =
            Some(LogFile { path: "p".into(), bytes: 32, line: Some(2), offset: None, cut: true });
        result.failed_dependencies = vec![root.clone()];
        result.root_failures = vec![root.clone(), BuildRef { build_hash: None, ..root }];
        let result = result.failed(Category::BuildFailure, Some("no: ä".to_owned()));
        let entry = Entry::new("2026-03-01-120000".parse().unwrap(), RunKind::Rerun, result);
        String::from_utf8(history::line_of(&entry)).unwrap().trim_end().to_owned()
    }

    #[test]
    fn larders_own_lines_are_read_here() {
        let line = full_line();
        assert_eq!(parse(&line), history::parse(line.as_bytes()));
        assert!(parse(&line).is_some());
        let escaped = line.replace("no: ä", r"no: \u00e4");
        assert!(parse(&escaped).is_none(), "that is for serde_json");
        assert!(history::parse::<View<'_>>(escaped.as_bytes()).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// However a line is damaged: what is read here is what serde_json reads.
        #[test]
        fn what_is_read_here_serde_json_reads_alike(
            changes in prop::collection::vec((0_usize..900, 0_usize..30, 0_usize..24), 0..4),
        ) {
            let pieces = [
                "", "\"", "{", "}", "[", "]", ",", ":", "0", "1", "-", ".", "e", "null", "true", " ", "\\",
                "\"ts\":\"x\",", "\"a\":{\"b\":[1,{}]},", "\t", "\"blessed\":0", "\"run\":", "\u{202e}", "package",
            ];
            let mut line = full_line();
            for (at, length, piece) in changes {
                let from = (0..=at.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap();
                let to = (from + length).min(line.len());
                let to = (to..=line.len()).find(|at| line.is_char_boundary(*at)).unwrap();
                line.replace_range(from..to, pieces[piece]);
            }
            if let Some(view) = parse(&line) {
                prop_assert_eq!(Some(view), history::parse(line.as_bytes()), "{}", line);
            }
        }
    }
}
