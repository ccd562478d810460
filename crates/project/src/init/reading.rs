//! What a C or C++ file says by itself: which headers it includes, and whether it defines `main`.

/// What was read of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether it defines `main`.
    pub has_main: bool,
    /// What it includes.
    pub includes: Vec<Include>,
}

/// An `#include`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The path as it is written.
    pub path: String,
    /// Whether it is in quotes rather than in angle brackets.
    pub quoted: bool,
    /// Whether it is there under some conditions only.
    pub conditional: bool,
}

/// An `#if` that is open.
struct Condition {
    /// How deep in braces it began.
    braces: usize,
    /// What is below never counts: `#if 0`.
    never: bool,
    /// It is there for whoever tries the file alone.
    trial: bool,
    /// It is there for whoever asks for it by a macro of the package.
    asked_for: bool,
    /// It is there always: the guard of a header.
    guard: bool,
}

struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    /// For each open brace whether it is of `extern "C"`, which is no depth.
    braces: Vec<bool>,
    conditions: Vec<Condition>,
    /// The last words, without blanks: to tell `extern "C" {`.
    after_extern: bool,
    after_linkage: bool,
    found: Reading,
}

/// The words of conditions under which people try a file alone.
const TRIALS: &[&str] = &["TEST", "MAIN", "DEMO", "STANDALONE", "EXAMPLE", "BENCH", "FUZZ"];

impl Reading {
    /// Reads a file's text.
    pub fn of(text: &str) -> Self {
        let mut lexer = Lexer {
            text: text.as_bytes(),
            at: 0,
            braces: Vec::new(),
            conditions: Vec::new(),
            after_extern: false,
            after_linkage: false,
            found: Self::default(),
        };
        lexer.run();
        lexer.found
    }
}

impl Lexer<'_> {
    fn run(&mut self) {
        let mut line_start = true;
        while let Some(&byte) = self.text.get(self.at) {
            let rest = &self.text[self.at..];
            match byte {
                b'\n' => line_start = true,
                b' ' | b'\t' | b'\r' => {}
                b'#' if line_start => {
                    let line = self.logical_line();
                    self.directive(&line);
                    continue;
                }
                _ if rest.starts_with(b"//") => {
                    _ = self.logical_line();
                    continue;
                }
                _ if rest.starts_with(b"/*") => {
                    let end = find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4);
                    self.at += end;
                    continue;
                }
                _ => {
                    line_start = false;
                    self.token(byte);
                    continue;
                }
            }
            self.at += 1;
        }
    }

    /// The rest of the line, with those that a backslash joins to it.
    fn logical_line(&mut self) -> String {
        let start = self.at;
        while let Some(&byte) = self.text.get(self.at) {
            let before = &self.text[start..self.at];
            if byte == b'\n' && !before.ends_with(b"\\") && !before.ends_with(b"\\\r") {
                break;
            }
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).replace("\\\n", " ")
    }

    fn token(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.string(b'"');
                self.after_linkage = self.after_extern;
                self.after_extern = false;
                return;
            }
            b'\'' => self.string(b'\''),
            b'{' => {
                self.braces.push(self.after_linkage);
                self.at += 1;
            }
            b'}' => {
                self.braces.pop();
                self.at += 1;
            }
            b'0'..=b'9' => self
                .skip(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'\'' | b'.' | b'_')),
            _ if is_word(byte) => {
                let start = self.at;
                self.skip(is_word);
                let word = &self.text[start..self.at];
                if matches!(word, b"R" | b"u8R" | b"LR" | b"uR" | b"UR")
                    && self.text.get(self.at) == Some(&b'"')
                {
                    self.raw_string();
                }
                self.after_extern = word == b"extern";
                self.after_linkage = false;
                if word == b"main" && self.is_outermost() && self.defines() {
                    self.found.has_main = true;
                }
                return;
            }
            _ => self.at += 1,
        }
        (self.after_extern, self.after_linkage) = (false, false);
    }

    fn skip(&mut self, is_part: impl Fn(u8) -> bool) {
        while self.text.get(self.at).is_some_and(|byte| is_part(*byte)) {
            self.at += 1;
        }
    }

    fn string(&mut self, quote: u8) {
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'\n' => return,
                _ if byte == quote => return,
                _ => {}
            }
        }
    }

    fn raw_string(&mut self) {
        let rest = &self.text[self.at + 1..];
        let Some(open) = rest.iter().position(|byte| *byte == b'(') else { return };
        let end = [b")", &rest[..open], b"\""].concat();
        self.at += 1 + find(rest, &end).map_or(rest.len(), |at| at + end.len());
    }

    fn is_outermost(&self) -> bool {
        self.braces.iter().all(|linkage| *linkage)
            && !self.conditions.iter().any(|it| it.never || it.trial || it.asked_for)
    }

    /// Whether what follows a name defines a function: its body, or the old declarations of its
    /// parameters.
    fn defines(&self) -> bool {
        let mut rest = self.text[self.at..].iter().copied().skip_while(u8::is_ascii_whitespace);
        if rest.next() != Some(b'(') {
            return false;
        }
        let mut open = 1;
        let mut after = rest.skip_while(|byte| {
            match byte {
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            open > 0
        });
        // The last parenthesis.
        after.next();
        let next = after.find(|byte| !byte.is_ascii_whitespace());
        next.is_some_and(|next| next == b'{' || is_word(next) || next == b'/')
    }

    fn directive(&mut self, line: &str) {
        let line = line.trim_start_matches('#').trim_start();
        let end = line.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let rest = rest.trim();
        match name {
            "include" | "import" => self.include(rest),
            "if" | "ifdef" | "ifndef" => {
                let is_first = self.conditions.is_empty() && self.found.includes.is_empty();
                self.conditions.push(Condition {
                    braces: self.braces.len(),
                    never: name == "if" && rest.starts_with('0') && rest.len() == 1,
                    trial: name != "ifndef" && TRIALS.iter().any(|word| rest.contains(word)),
                    asked_for: name != "ifndef" && is_asked_for(rest),
                    guard: (name == "ifndef" && is_first) || rest.contains("__cplusplus"),
                });
            }
            "else" | "elif" => {
                if let Some(condition) = self.conditions.last_mut() {
                    let braces = condition.braces;
                    (condition.never, condition.trial) = (false, false);
                    (condition.asked_for, condition.guard) = (false, false);
                    self.braces.truncate(braces);
                }
            }
            "endif" => _ = self.conditions.pop(),
            _ => {}
        }
    }

    fn include(&mut self, rest: &str) {
        let quoted = rest.starts_with('"');
        let close = if quoted { '"' } else { '>' };
        let path = rest.strip_prefix(['"', '<']).and_then(|rest| rest.split_once(close));
        let Some((path, _)) = path else { return };
        if self.conditions.iter().any(|condition| condition.never || condition.trial) {
            return;
        }
        let conditional = self.conditions.iter().any(|condition| !condition.guard);
        self.found.includes.push(Include { path: path.to_owned(), quoted, conditional });
    }
}

/// Whether a condition asks for a macro that neither a compiler nor a check of the system defines.
fn is_asked_for(condition: &str) -> bool {
    let words = condition.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && *word != "defined"
    });
    let names: Vec<&str> = names.collect();
    let of_system = |name: &&str| name.starts_with('_') || name.contains("HAVE_");
    !names.is_empty() && !condition.contains('!') && !names.iter().any(of_system)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_others() {
        for text in [
            "int main(void) { return 0; }",
            "int\nmain (int argc, char *argv[])\n{\n}",
            "main(argc, argv)\nint argc; char **argv;\n{ }",
            "extern \"C\" {\nint main() { }\n}",
            "auto main() -> int { }".replace("->", "noexcept").as_str(),
            "#ifdef _WIN32\nvoid f() {\n#else\nvoid g() {\n#endif\n}\nint main() {}",
            "#ifndef NO_MAIN\nint main() {}\n#endif",
            "#if !defined(LIBRARY)\nint main() {}\n#endif",
            "#ifdef HAVE_CONFIG_H\n#include <config.h>\n#endif\nint main() {}",
            "#ifdef __linux__\nint main() {}\n#endif",
            "const char *s = \"\\\"{\"; char c = '{'; int main() {}",
            "auto s = R\"x({ )\" )x\"; int n = 1'000; int main() {}",
        ] {
            assert!(Reading::of(text).has_main, "{text}");
        }
        for text in [
            "int main(void);",
            "// int main() {}",
            "/* int main() {} */",
            "char *s = \"int main() {}\";",
            "void f(void) { main(); }",
            "int domain(void) {} int main2(void) {}",
            "#define main() {}\n",
            "#if 0\nint main() {}\n#endif",
            "#ifdef UNIT_TEST\nint main() {}\n#endif",
            "#ifdef MAKECRCH\nint main() {}\n#endif",
            "struct s { int main() { } };",
            "int main",
            "main(",
        ] {
            assert!(!Reading::of(text).has_main, "{text}");
        }
    }

    #[test]
    fn includes_are_found_with_their_conditions() {
        let text = "#ifndef X_H\n#define X_H\n# include \"a/b.h\" // x\n#  include <c.h>\n#ifdef Z\n\
                    #include <zlib.h>\n#endif\n#if 0\n#include \"never.h\"\n#endif\n#include MACRO\n#endif\n";
        let found = Reading::of(text).includes;
        let plain: Vec<_> =
            found.iter().map(|it| (it.path.as_str(), it.quoted, it.conditional)).collect();
        assert_eq!(plain, [("a/b.h", true, false), ("c.h", false, false), ("zlib.h", false, true)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[#a-z{}\"'R(\\\\/*\n ]{0,60}") {
            Reading::of(&text);
        }
    }
}
