//! Commands of CMake that read files or look for them.

use super::{run::Reader, scope::Word, syntax::Command};

impl Reader<'_> {
    /// Does what a command says of files and directories. Returns whether it is known.
    pub(super) fn file_command(&mut self, command: &Command, words: &[Word]) -> bool {
        let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str()).to_owned();
        match &*command.name {
            "add_subdirectory" => {
                match self.path(&text(0)).filter(|_| words.first().is_some_and(|it| it.known)) {
                    Some(path) if self.root.join(&path).join("CMakeLists.txt").is_file() => {
                        if let Err(why) = self.enter(&path) {
                            self.leave_out(path, why);
                        }
                    }
                    _ => self.leave_out(
                        text(0),
                        format!("{} asks for it, and it is not there", self.place(command)),
                    ),
                }
            }
            "include" => self.include(&text(0)),
            "file" if matches!(&*text(0), "GLOB" | "GLOB_RECURSE") => {
                self.glob(&text(1), &words[2.min(words.len())..], text(0) == "GLOB_RECURSE");
            }
            _ => return false,
        }
        true
    }

    fn include(&mut self, name: &str) {
        let mut candidates = vec![self.path(name)];
        let modules = self.scope().get("CMAKE_MODULE_PATH");
        for directory in modules.entries() {
            candidates.push(self.path(&format!("{}/{name}.cmake", directory.text)));
        }
        let is_file = |path: &String| self.root.join(path).is_file();
        match candidates.into_iter().flatten().find(is_file) {
            Some(path) => {
                if let Err(why) = self.read_file(&path) {
                    self.leave_out(path, why);
                }
            }
            None if name == "CTest" && self.scope().is_set("BUILD_TESTING") == Some(false) => {
                self.scope_mut().set("BUILD_TESTING", Word::known("ON"));
            }
            None => {}
        }
    }

    /// `file(GLOB VARIABLE [LIST_DIRECTORIES b] [RELATIVE directory] [CONFIGURE_DEPENDS] pattern…)`.
    fn glob(&mut self, variable: &str, words: &[Word], deep: bool) {
        let root = self.root.to_string_lossy().into_owned();
        let mut found: Vec<String> = Vec::new();
        let mut relative = None;
        let mut words = words.iter();
        let mut known = true;
        while let Some(word) = words.next() {
            known &= word.known;
            match &*word.text {
                "LIST_DIRECTORIES" => _ = words.next(),
                "RELATIVE" => relative = words.next().and_then(|word| self.path(&word.text)),
                "CONFIGURE_DEPENDS" | "FOLLOW_SYMLINKS" => {}
                pattern => {
                    let Some(pattern) = self.path(pattern) else { continue };
                    let pattern = match pattern.rsplit_once('/') {
                        Some((directory, last)) if deep => format!("{directory}/**/{last}"),
                        None if deep => format!("**/{pattern}"),
                        _ => pattern,
                    };
                    let files = self.tree.all_sources.iter().chain(&self.tree.headers);
                    found
                        .extend(files.filter(|path| crate::glob::matches(&pattern, path)).cloned());
                }
            }
        }
        let shown = found.iter().map(|path| match &relative {
            Some(base) if base == "." => path.clone(),
            Some(base) => path.strip_prefix(&format!("{base}/")).unwrap_or(path).to_owned(),
            None => format!("{root}/{path}"),
        });
        let text = shown.collect::<Vec<_>>().join(";");
        self.scope_mut().set(variable, Word { text, known });
    }
}
