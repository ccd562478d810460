//! Where a demonstration plays: a directory, a larder with a store of its own, and what is printed of both.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::shown;

/// A directory to show things in.
pub struct Scene {
    /// The larder that is shown.
    pub larder: PathBuf,
    /// Where commands run.
    pub directory: PathBuf,
    /// The store.
    pub store: PathBuf,
}

/// What came of a command.
pub struct Shown {
    /// All that it printed.
    pub text: String,
    /// Its wall time.
    pub time: Duration,
}

impl Shown {
    /// Sees that all of these are in what was printed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn has(&self, words: &[&str]) -> Result<&Self> {
        for word in words {
            ensure!(
                self.text.contains(word),
                "`{word}` is not in what was printed:\n{}",
                self.text
            );
        }
        Ok(self)
    }

    /// Sees that none of these is in what was printed.
    ///
    /// # Errors
    /// The first that is.
    pub fn lacks(&self, words: &[&str]) -> Result<&Self> {
        for word in words {
            ensure!(!self.text.contains(word), "`{word}` is in what was printed:\n{}", self.text);
        }
        Ok(self)
    }
}

/// How much of what a command prints is shown: so many lines at the beginning, and at the end.
#[derive(Clone, Copy)]
pub struct Lines(pub usize, pub usize);

impl Scene {
    /// Says what follows.
    pub fn say(&self, what: &str) {
        println!("\n# {what}");
    }

    /// Shows a command that the demonstration does the work of itself.
    pub fn shell(&self, command: &str) {
        println!("$ {command}");
    }

    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.directory.join(file)).with_context(|| format!("cannot read {file}"))
    }

    /// Writes a file anew: what has the same content elsewhere by another name keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.directory.join(file);
        fs::remove_file(&path)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot edit {file}"))
    }

    /// Runs larder, which must end with one of `exits`, and shows the beginning and the end of what it prints.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn larder(&self, arguments: &[&str], exits: &[i32], lines: Lines) -> Result<Shown> {
        self.shell(&format!("larder {}", arguments.join(" ")));
        let (code, shown) = self.run_larder(arguments)?;
        if !code.is_some_and(|code| exits.contains(&code)) {
            bail!("`larder {}` ended with {code:?}:\n{}", arguments.join(" "), shown.text);
        }
        print!("{}", abridged(&shown.text, lines));
        Ok(shown)
    }

    /// Runs larder, which must succeed, and shows nothing.
    ///
    /// # Errors
    /// When it fails.
    pub fn quiet(&self, arguments: &[&str]) -> Result<Shown> {
        let (code, shown) = self.run_larder(arguments)?;
        ensure!(code == Some(0), "`larder {}` failed:\n{}", arguments.join(" "), shown.text);
        Ok(shown)
    }

    fn run_larder(&self, arguments: &[&str]) -> Result<(Option<i32>, Shown)> {
        let mut command = Command::new(&self.larder);
        command.args(arguments).env("LARDER_CACHE_DIR", &self.store);
        self.run(command)
    }

    /// Runs Git, quietly.
    ///
    /// # Errors
    /// When it fails.
    pub fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=demo", "-c", "user.email=demo@example.org"])
            .args(["-c", "commit.gpgsign=false", "-c", "gc.auto=0"])
            .args(arguments);
        let (code, shown) = self.run(command)?;
        ensure!(code == Some(0), "git {} failed: {}", arguments.join(" "), shown.text);
        Ok(())
    }

    fn run(&self, mut command: Command) -> Result<(Option<i32>, Shown)> {
        let (reader, writer) = io::pipe()?;
        command
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let start = Instant::now();
        let mut child =
            command.spawn().with_context(|| format!("cannot run {}", shown(&command)))?;
        // It holds the writing ends; without it, the pipe ends when the command does.
        drop(command);
        let text = io::read_to_string(reader)?;
        let status = child.wait()?;
        Ok((status.code(), Shown { text, time: start.elapsed() }))
    }
}

/// A text whose middle is left out where it is long, and the ends of whose lines are, too.
fn abridged(text: &str, Lines(first, last): Lines) -> String {
    const WIDEST: usize = 160;
    let cut = |line: &&str| match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("  {}…\n", &line[..end]),
        None => format!("  {line}\n"),
    };
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(first + last);
    if left_out < 2 {
        return lines.iter().map(cut).collect();
    }
    let (beginning, rest) = lines.split_at(first);
    let all = |lines: &[&str]| lines.iter().map(cut).collect::<String>();
    format!("{}  … {left_out} lines\n{}", all(beginning), all(&rest[left_out..]))
}

/// Copies a directory without what larder and Git keep in it. Files are the same ones by other names, where that is
/// possible, and links stay links.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            fs::hard_link(&source, &target).or_else(|_| fs::copy(&source, &target).map(drop))?;
        } else if ![".larder", ".git"].iter().any(|kept| entry.file_name() == *kept) {
            copy(&source, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Lines, abridged};

    #[test]
    fn long_output_loses_its_middle() {
        let abridged = |text: &str| abridged(text, Lines(3, 3));
        let lines = |numbers: std::ops::RangeInclusive<u32>| {
            numbers.map(|number| format!("{number}\n")).collect::<String>()
        };
        assert_eq!(abridged(&lines(1..=3)), "  1\n  2\n  3\n");
        assert_eq!(abridged(&lines(1..=7)).lines().count(), 7);
        assert_eq!(abridged(&lines(1..=9)), "  1\n  2\n  3\n  … 3 lines\n  7\n  8\n  9\n");
        assert_eq!(abridged(&"é".repeat(200)).chars().count(), 164);
    }
}
