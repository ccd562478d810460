//! `.containerignore` and `.dockerignore`: which files of a build context are left out.
//!
//! The rules are Docker's (`moby/patternmatcher`, which Buildah and Podman follow), not Git's: a
//! pattern is anchored at the context's root; the last one that matches a path, or a directory that
//! the path is in, decides; so `!` brings back files of a directory that is left out.

use std::ops::RangeInclusive;

/// The patterns of an ignore file, in order.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    /// It begins with `!`: what it matches is kept.
    keeps: bool,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// `?`: one character, not `/`.
    One,
    /// `*`: characters without `/`.
    Star,
    /// `**/`: nothing, or anything that ends in `/`.
    Directories,
    /// `**` at an end: anything.
    Anything,
    /// `[a-z]`, or `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<RangeInclusive<char>>,
    },
}

/// Why an ignore file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{pattern}` {reason}")]
pub struct IgnoreError {
    /// The line, counted from 1.
    pub line: usize,
    /// The pattern.
    pub pattern: String,
    /// The mistake.
    pub reason: &'static str,
}

impl Ignore {
    /// Reads an ignore file's text.
    ///
    /// # Errors
    /// Patterns that Docker refuses too.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut patterns = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let wrong =
                |reason| IgnoreError { line: index + 1, pattern: line.trim().to_owned(), reason };
            let (keeps, pattern) = match line.trim().strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line.trim()),
            };
            if pattern.is_empty() {
                return Err(wrong("is no pattern"));
            }
            let pattern = clean(pattern);
            let tokens = tokens(&pattern).map_err(wrong)?;
            patterns.push(Pattern { keeps, tokens });
        }
        Ok(Self { patterns })
    }

    /// Whether `path`, relative to the context's root, is left out.
    pub fn leaves_out(&self, path: &str) -> bool {
        let mut left_out = false;
        for pattern in &self.patterns {
            // Only one that would change the answer is worth matching.
            if pattern.keeps == left_out && pattern.matches_or_holds(path) {
                left_out = !pattern.keeps;
            }
        }
        left_out
    }

    /// Whether everything in a directory that is left out is left out too.
    pub fn brings_nothing_back(&self) -> bool {
        self.patterns.iter().all(|pattern| !pattern.keeps)
    }
}

/// `pattern` without empty parts, `.` and, where a name comes before it, `..`; and relative (Go's
/// `filepath.Clean`).
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            ("..", None) if pattern.starts_with('/') => {}
            _ => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => ".".to_owned(),
        false => parts.join("/"),
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut found = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        found.push(match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                let slash = rest.next_if_eq(&'/').is_some();
                match rest.peek().copied() {
                    None => Token::Anything,
                    // `**.c` at the very beginning matches `a.c` in Docker, which compares ends there.
                    Some(_) if found.is_empty() && !slash && !has_special(rest.clone()) => {
                        Token::Anything
                    }
                    Some(_) => Token::Directories,
                }
            }
            '*' => Token::Star,
            '?' => Token::One,
            '[' => class(&mut rest)?,
            '\\' => Token::Literal(rest.next().ok_or("ends in a `\\`")?),
            c => Token::Literal(c),
        });
    }
    Ok(found)
}

fn has_special(mut rest: impl Iterator<Item = char>) -> bool {
    rest.any(|c| "*?[]\\".contains(c))
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "has a `[` that nothing closes";
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let mut next = || match rest.next() {
            Some('\\') => rest.next().ok_or(OPEN).map(|c| (c, true)),
            Some(c) => Ok((c, false)),
            None => Err(OPEN),
        };
        let (first, escaped) = next()?;
        if first == ']' && !escaped {
            break;
        }
        let last = match rest.next_if_eq(&'-') {
            None => first,
            Some(_) => match rest.next().ok_or(OPEN)? {
                '\\' => rest.next().ok_or(OPEN)?,
                ']' => return Err("has a range without an end"),
                last => last,
            },
        };
        ranges.push(first..=last);
    }
    if ranges.is_empty() { Err("has an empty `[]`") } else { Ok(Token::Class { negated, ranges }) }
}

impl Pattern {
    /// Whether it matches `path` or a directory that `path` is in.
    fn matches_or_holds(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.matches(path) || parents.into_iter().any(|parent| self.matches(parent))
    }

    /// Follows all ways through the tokens at once, so that no pattern takes long.
    fn matches(&self, path: &str) -> bool {
        let end = self.tokens.len();
        let mut active = vec![false; end + 1];
        active[0] = true;
        // A `**/` that has read something is kept apart: it is left only after a `/`.
        let mut inside = vec![false; end + 1];
        self.skip(&mut active);
        for c in path.chars() {
            let mut next = vec![false; end + 1];
            let mut still_inside = vec![false; end + 1];
            for (index, token) in self.tokens.iter().enumerate() {
                let here = active[index];
                match token {
                    Token::Literal(literal) => next[index + 1] |= here && *literal == c,
                    Token::One => next[index + 1] |= here && c != '/',
                    Token::Class { negated, ranges } => {
                        let is_in = ranges.iter().any(|range| range.contains(&c));
                        next[index + 1] |= here && is_in != *negated;
                    }
                    Token::Star => next[index] |= here && c != '/',
                    Token::Anything => next[index] |= here,
                    Token::Directories => {
                        let reading = here || inside[index];
                        still_inside[index] |= reading;
                        next[index + 1] |= reading && c == '/';
                    }
                }
            }
            active = next;
            inside = still_inside;
            self.skip(&mut active);
        }
        active[end]
    }

    /// Tokens that may stand for nothing can be passed over.
    fn skip(&self, active: &mut [bool]) {
        for (index, token) in self.tokens.iter().enumerate() {
            if matches!(token, Token::Star | Token::Anything | Token::Directories) {
                active[index + 1] |= active[index];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn left_out(patterns: &[&str], path: &str) -> bool {
        Ignore::parse(&patterns.join("\n")).unwrap().leaves_out(path)
    }

    #[test]
    fn one_pattern() {
        // As Docker's own tests have them (moby/patternmatcher, `multiPatternTests` and
        // `matchTests`), with what this table needs besides.
        for (pattern, path, expected) in [
            ("**", "file", true),
            ("**", "dir/file", true),
            ("**/", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("dir/**", "dir", false),
            ("**/dir", "dir", true),
            ("**/dir", "dir/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/dir2/file", true),
            ("**/dir2/**", "dir/dir2/dir2/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**file", "dir/another-file", true),
            ("**/file", "dir/file", true),
            ("**/file", "dir/another-file", false),
            ("**file*", "dir/file.txt", true),
            ("**file*txt", "dir/file.txt", true),
            ("**file*.txt", "dir/afile.txt", false),
            ("**/*.txt", "file.txt", true),
            ("**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txts", false),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[^b-d]e", "aze", true),
            ("a[^b-d]e", "ace", false),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abc.def", true),
            ("abc?def", "abcZdef", true),
            ("abc?def", "abc/def", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "dir/dir2/foo/bar", true),
            ("abc/**", "abc/def/ghi", true),
            ("**/.foo", "bar/.foo", true),
            ("**/.foo", ".foobar", false),
            ("a(b)c/def", "a(b)c/def", true),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("dist/{a,b}", "dist/a", false),
            (
                "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
                "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
                true,
            ),
            // Anchored, however it is spelled, and holding what is below.
            ("target", "target/debug/x", true),
            ("target", "sub/target", false),
            ("/target/", "target/x", true),
            ("./a/../target", "target", true),
            ("  target  ", "target", true),
            ("*", "a/b", true),
            ("*/b", "a/b/c", true),
        ] {
            assert_eq!(left_out(&[pattern], path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let patterns =
            ["# comment", "", "*", "!src", "src/gen", "!src/gen/keep.c", "!**/*.md", "secret.md"];
        for (path, expected) in [
            ("a", true),
            ("src/a.c", false),
            ("src/gen/a.c", true),
            ("src/gen/keep.c", false),
            ("deep/README.md", false),
            ("secret.md", true),
            ("# comment", true),
        ] {
            assert_eq!(left_out(&patterns, path), expected, "{path}");
        }
        assert!(!left_out(&["a", "! a"], "a"));
        assert!(!left_out(&["\u{feff}#a"], "#a"));
    }

    #[test]
    fn what_docker_refuses() {
        for (text, line, reason) in [
            ("a\n!\n", 2, "is no pattern"),
            ("[", 1, "has a `[` that nothing closes"),
            ("a[]b", 1, "has an empty `[]`"),
            ("[a-]", 1, "has a range without an end"),
            ("a\\", 1, "ends in a `\\`"),
        ] {
            let error = Ignore::parse(text).unwrap_err();
            assert_eq!((error.line, error.reason), (line, reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[*?/!\\[\\]a^\\\\\n-]{0,20}|.{0,20}", path in "[a/]{0,12}") {
            if let Ok(ignore) = Ignore::parse(&text) {
                ignore.leaves_out(&path);
            }
        }

        #[test]
        fn what_is_literal_matches_itself_and_what_is_below(
            path in "[a-z]{1,3}(/[a-z]{1,3}){0,3}", below in "[a-z]{1,3}",
        ) {
            prop_assert!(left_out(&[&path], &path));
            prop_assert!(left_out(&[&path], &[&*path, "/", &below].concat()));
            let below = format!("!{path}/{below}");
            prop_assert!(!left_out(&[&path, &below], &below[1..]));
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern = "*a**/".repeat(40);
        assert!(!left_out(&[&format!("{pattern}b")], &"a/".repeat(200)));
    }
}
