//! A file that a build system makes from answers and values, as a `[[config]]`.

use std::collections::BTreeMap;

/// A file that is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The target's name.
    pub name: String,
    /// The file, below the build directory.
    pub output: String,
    /// The template, a file of the package.
    pub template: Option<String>,
    /// Whether `${NAME}` in the template stands for a value, too.
    pub braces: bool,
    /// Macros with which the compiler is asked.
    pub defines: Vec<String>,
    /// What the compiler is asked, by the name of the answer.
    pub checks: BTreeMap<String, Asks>,
    /// What needs no asking.
    pub values: BTreeMap<String, Value>,
    /// Names in the template of which nothing is known. They count as not defined.
    pub unknown: Vec<String>,
}

/// A value that stands for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Defined or not.
    Boolean(bool),
    /// A text, as it stands there.
    Text(String),
}

/// What a compiler is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Asks {
    /// Whether a header can be included, after others.
    Header { name: String, before: Vec<String> },
    /// Whether there is a function, in a library if need be.
    Function { name: String, library: Option<String> },
    /// Whether there is a type.
    Type { name: String },
    /// The size of a type.
    Size { name: String },
    /// Whether headers declare something.
    Symbol { name: String, headers: Vec<String> },
    /// Whether a program can be made.
    Program { code: String },
}

impl Asks {
    /// Returns what a command of CMake asks: the names of its answers, with the questions.
    pub fn of_cmake(command: &str, words: &[&str]) -> Vec<(String, Self)> {
        let list = |text: &str| {
            text.split(';').filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let one = |define: &str, asks| vec![(define.to_owned(), asks)];
        match (command, words) {
            (
                "check_include_file" | "check_include_file_cxx" | "check_include_files",
                [names, define, ..],
            ) => {
                let mut before = list(names);
                let Some(name) = before.pop() else { return Vec::new() };
                one(define, Self::Header { name, before })
            }
            ("check_function_exists", [name, define, ..]) => {
                one(define, Self::Function { name: (*name).to_owned(), library: None })
            }
            ("check_library_exists", [library, name, _, define, ..]) => {
                let library = Some(format!("-l{library}"));
                one(define, Self::Function { name: (*name).to_owned(), library })
            }
            ("check_symbol_exists" | "check_cxx_symbol_exists", [name, headers, define, ..]) => {
                one(define, Self::Symbol { name: (*name).to_owned(), headers: list(headers) })
            }
            ("check_type_size", [name, define, ..]) => vec![
                (format!("HAVE_{define}"), Self::Type { name: (*name).to_owned() }),
                ((*define).to_owned(), Self::Size { name: (*name).to_owned() }),
            ],
            ("check_c_source_compiles", [code, define, ..]) => {
                one(define, Self::Program { code: (*code).to_owned() })
            }
            ("check_struct_has_member", [of, member, headers, define, ..]) => {
                let mut code: String =
                    list(headers).iter().map(|it| format!("#include <{it}>\n")).collect();
                code +=
                    &format!("int main(void) {{ return (int)sizeof((({of} *)0)->{member}); }}\n");
                one(define, Self::Program { code })
            }
            _ => Vec::new(),
        }
    }

    /// The key of a manifest that this is an entry of.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Header { .. } => "headers",
            Self::Function { .. } => "functions",
            Self::Type { .. } => "types",
            Self::Size { .. } => "sizes",
            Self::Symbol { .. } => "symbols",
            Self::Program { .. } => "compiles",
        }
    }
}

/// The names that a template of CMake or Meson has values for, and whether a value has to be there.
pub fn names(template: &str) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    for line in template.lines() {
        if let Some((word, name, rest)) = directive(line)
            && matches!(word, "cmakedefine" | "cmakedefine01" | "mesondefine")
        {
            found.entry(name.to_owned()).or_insert(false);
            placeholders(rest).into_iter().for_each(|name| _ = found.entry(name).or_insert(false));
        } else {
            placeholders(line).into_iter().for_each(|name| _ = found.insert(name, true));
        }
    }
    found
}

/// The word, the name and the rest of a line such as `# define NAME rest`.
fn directive(line: &str) -> Option<(&str, &str, &str)> {
    let after = line.trim_start().strip_prefix('#')?.trim_start();
    let (word, rest) = after.split_once([' ', '\t'])?;
    let rest = rest.trim();
    let (name, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    Some((word, name, rest.trim()))
}

/// A piece of a line of a template.
enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

/// The pieces of a line: texts, `@NAME@`, and with `braces` `${NAME}`.
fn pieces(line: &str, braces: bool) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    while at < line.len() {
        let rest = &line[at..];
        let inner = match rest.strip_prefix('@') {
            Some(inner) => inner.split_once('@').map(|(name, _)| (name, 2)),
            None => rest
                .strip_prefix("${")
                .filter(|_| braces)
                .and_then(|inner| inner.split_once('}'))
                .map(|(name, _)| (name, 3)),
        };
        if let Some((name, marks)) = inner.filter(|(name, _)| is_name(name)) {
            found.push(Piece::Text(&line[from..at]));
            found.push(Piece::Name(name));
            at += name.len() + marks;
            from = at;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found.push(Piece::Text(&line[from..]));
    found
}

fn placeholders(line: &str) -> Vec<String> {
    let names = pieces(line, true).into_iter().filter_map(|piece| match piece {
        Piece::Name(name) => Some(name.to_owned()),
        Piece::Text(_) => None,
    });
    names.collect()
}

impl Config {
    /// Finds out the values by which `template` became `made`.
    ///
    /// # Errors
    /// Why they cannot be told.
    pub fn take_values(&mut self, template: &str, made: &str) -> Result<(), String> {
        if template.lines().count() != made.lines().count() {
            return Err("a value in it has several lines".to_owned());
        }
        let is_autoconf = !["#cmakedefine", "#mesondefine"].iter().any(|it| template.contains(it));
        let kept = |line: &str| line.contains("${");
        self.braces =
            template.lines().zip(made.lines()).any(|(one, other)| kept(one) && !kept(other));
        for (line, made) in template.lines().zip(made.lines()) {
            let Some((word, name, rest)) = directive(line) else {
                self.aligned(line, made)?;
                continue;
            };
            let defined =
                directive(made).filter(|(word, found, _)| *word == "define" && *found == name);
            let value = match (word, defined) {
                ("cmakedefine", Some((_, _, text))) => {
                    self.aligned(rest, text)?;
                    Value::Boolean(true)
                }
                ("cmakedefine", None) => Value::Boolean(false),
                ("cmakedefine01", defined) => {
                    Value::Boolean(defined.is_some_and(|(.., text)| text == "1"))
                }
                ("mesondefine", Some((_, _, text))) => match text {
                    "" => Value::Boolean(true),
                    text => Value::Text(text.to_owned()),
                },
                ("mesondefine", None) if made.trim_start().starts_with("#undef") => {
                    Value::Boolean(false)
                }
                ("mesondefine", None) => continue,
                ("undef", Some((_, _, text))) if is_autoconf && rest.is_empty() => match text {
                    "1" => Value::Boolean(true),
                    text => Value::Text(text.to_owned()),
                },
                ("undef", None) if is_autoconf && rest.is_empty() && made.contains("undef") => {
                    Value::Boolean(false)
                }
                _ => {
                    self.aligned(line, made)?;
                    continue;
                }
            };
            self.values.entry(name.to_owned()).or_insert(value);
        }
        Ok(())
    }

    /// Does the same where nobody says that `template` is the template: all of `made` must come of it.
    ///
    /// # Errors
    /// What does not.
    pub fn take_all_values(&mut self, template: &str, made: &str) -> Result<(), String> {
        self.take_values(template, made)?;
        let is_known = |line: &str| match directive(line) {
            Some(("cmakedefine" | "cmakedefine01" | "mesondefine", ..)) => true,
            Some(("undef", name, "")) => self.values.contains_key(name),
            _ => placeholders(line).iter().any(|name| self.values.contains_key(name)),
        };
        let mut lines = template.lines().zip(made.lines());
        match lines.find(|(line, made)| line != made && !is_known(line)) {
            Some((line, _)) => Err(format!("nobody can tell what became of `{}`", line.trim())),
            None => Ok(()),
        }
    }

    /// Takes the values by which a line became another.
    fn aligned(&mut self, line: &str, made: &str) -> Result<(), String> {
        let pieces = pieces(line, self.braces);
        let mut rest = made;
        let mut open: Option<&str> = None;
        for (at, piece) in pieces.iter().enumerate() {
            let text = match piece {
                Piece::Name(name) if open.is_none() => {
                    open = Some(name);
                    continue;
                }
                Piece::Name(_) => {
                    return Err(format!("nobody can tell apart the values in `{}`", line.trim()));
                }
                Piece::Text("") if at + 1 < pieces.len() => continue,
                Piece::Text(text) => *text,
            };
            let is_last = at + 1 == pieces.len();
            let found = match (open, is_last) {
                (None, _) => rest.starts_with(text).then_some(0),
                (Some(_), true) => rest.strip_suffix(text).map(str::len),
                (Some(_), false) => rest.find(text),
            };
            // A line that became another in a way that is not known says nothing.
            let Some(found) = found else { return Ok(()) };
            if let Some(name) = open.take() {
                self.values.insert(name.to_owned(), Value::Text(rest[..found].to_owned()));
            }
            rest = &rest[found + text.len()..];
        }
        Ok(())
    }

    /// Asks instead of repeating what was found out here, as far as `checks` say how.
    pub fn ask(&mut self, checks: &BTreeMap<String, Asks>) {
        for (name, asks) in checks {
            if self.values.remove(name).is_some() {
                self.checks.insert(name.clone(), asks.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_what_was_made() {
        let template = "/* @A@ */\n#cmakedefine B\n# cmakedefine C \"@C@\"\n#cmakedefine01 D\n#cmakedefine E ${E}\n\
                        #define V \"@X@.@Y@\" // ${X}\n#mesondefine F\n#mesondefine G\n#mesondefine H\nplain @ line\n";
        let made = "/* x y */\n#define B\n# define C \"c\"\n#define D 1\n/* #undef E */\n\
                    #define V \"1.2\" // 1\n#define F 3\n#undef G\n/* undef H */\nplain @ line\n";
        let mut config = Config::default();
        config.take_values(template, made).unwrap();
        let text = |text: &str| Value::Text(text.to_owned());
        let wanted = [
            ("A", text("x y")),
            ("B", Value::Boolean(true)),
            ("C", text("c")),
            ("D", Value::Boolean(true)),
            ("E", Value::Boolean(false)),
            ("F", text("3")),
            ("G", Value::Boolean(false)),
            ("X", text("1")),
            ("Y", text("2")),
        ];
        let found: Vec<(&str, Value)> =
            config.values.iter().map(|(name, it)| (&**name, it.clone())).collect();
        assert_eq!(found, wanted);
        assert!(config.braces);
        let named: Vec<(String, bool)> =
            names(template).into_iter().filter(|(_, must)| *must).collect();
        assert_eq!(named.iter().map(|it| &*it.0).collect::<Vec<_>>(), ["A", "X", "Y"]);
        assert!(
            Config::default().take_values("@A@@B@\n", "x\n").unwrap_err().contains("tell apart")
        );
        assert!(
            Config::default().take_values("a\n", "a\nb\n").unwrap_err().contains("several lines")
        );
    }

    #[test]
    fn a_template_that_is_guessed_has_to_explain_all() {
        let template = "#ifndef X\n#undef HAVE_A\n#undef HAVE_B\n# undef SIZE\nint x;\n#endif\n";
        let made =
            "#ifndef X\n#define HAVE_A 1\n/* #undef HAVE_B */\n# define SIZE 8\nint x;\n#endif\n";
        let mut config = Config::default();
        config.take_all_values(template, made).unwrap();
        let found: Vec<(&str, Value)> =
            config.values.iter().map(|(name, it)| (&**name, it.clone())).collect();
        let wanted = [
            ("HAVE_A", Value::Boolean(true)),
            ("HAVE_B", Value::Boolean(false)),
            ("SIZE", Value::Text("8".to_owned())),
        ];
        assert_eq!(found, wanted);
        let other = made.replace("int x", "int y");
        let error = Config::default().take_all_values(template, &other).unwrap_err();
        assert!(error.contains("`int x;`"), "{error}");
    }

    #[test]
    fn questions_of_cmake_are_understood() {
        let of = |command: &str, words: &[&str]| Asks::of_cmake(command, words);
        let header = Asks::Header { name: "b.h".to_owned(), before: vec!["a.h".to_owned()] };
        assert_eq!(
            of("check_include_files", &["a.h;b.h", "HAVE_B"]),
            [("HAVE_B".to_owned(), header)]
        );
        let names: Vec<String> =
            of("check_type_size", &["long", "L"]).into_iter().map(|it| it.0).collect();
        assert_eq!(names, ["HAVE_L", "L"]);
        assert!(
            of("check_c_source_runs", &["x", "Y"]).is_empty()
                && of("check_include_file", &["x"]).is_empty()
        );
    }
}
