//! What a terminal shows of a batch: a line for all of it, and one for each task that runs.

use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

use super::{age, cut};
use crate::{describe::counted, table};

/// How many tasks are shown at most: more than that nobody reads.
const ROWS: usize = 12;

/// How far a batch is, and what runs for how long.
#[derive(Default)]
pub struct BatchView {
    /// What is being done.
    pub phase: String,
    /// How many tasks there are; 0 while that is not known.
    pub tasks: usize,
    /// How many of them have ended.
    pub ended: usize,
    /// How many results are failures of their own.
    pub failed: usize,
    /// How many were blocked.
    pub blocked: usize,
    /// How long the rest is expected to take, and since when.
    pub left: Option<(Duration, Instant)>,
    running: Vec<Running>,
}

struct Running {
    name: String,
    since: Instant,
    expected: Option<Duration>,
}

impl BatchView {
    /// Takes note of a task that starts.
    pub fn started(&mut self, name: String, expected: Option<Duration>) {
        self.running.push(Running { name, since: Instant::now(), expected });
    }

    /// Takes note of a task that does not run any more.
    pub fn stopped(&mut self, name: &str) {
        if let Some(at) = self.running.iter().position(|running| running.name == name) {
            self.running.remove(at);
        }
    }

    /// Returns the lines, each at most so wide, and few enough for a terminal so high.
    pub fn render(&self, width: usize, height: usize, now: Instant) -> String {
        let mut lines = vec![self.summary(now)];
        let rows = height.saturating_sub(2).clamp(1, ROWS);
        let shown = match self.running.len() > rows {
            true => rows - 1,
            false => self.running.len(),
        };
        let names = self.running.iter().take(shown).map(|running| running.name.width());
        let column = names.max().unwrap_or(0);
        for running in self.running.iter().take(shown) {
            let room = column - running.name.width();
            let took = age(now.saturating_duration_since(running.since));
            let of = running.expected.filter(|time| time.as_secs() > 0);
            let of = of.map_or(String::new(), |time| format!(" of {}", table::age(time.as_secs())));
            let line = format!("  {}{:room$} {took}{of}", running.name, "");
            lines.push(line.trim_end().to_owned());
        }
        if shown < self.running.len() {
            lines.push(format!("  and {} more", self.running.len() - shown));
        }
        let lines: Vec<String> = lines.iter().map(|line| cut(line, width)).collect();
        lines.join("\n")
    }

    fn summary(&self, now: Instant) -> String {
        let mut parts = Vec::new();
        match self.tasks {
            0 => parts.push(self.phase.clone()),
            tasks => parts.push(format!("[{}/{}] {}", self.ended, tasks, self.phase)),
        }
        parts.extend(counted(&[(self.failed, "failed"), (self.blocked, "blocked")]));
        if let Some((left, said)) = self.left {
            let left = left.saturating_sub(now.saturating_duration_since(said));
            if left.as_secs() > 0 {
                parts.push(format!("about {} left", table::age(left.as_secs())));
            }
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(now: Instant) -> BatchView {
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        let running = |name: &str, seconds, expected| Running {
            name: name.to_owned(),
            since: ago(seconds),
            expected: Some(Duration::from_secs(expected)).filter(|time| !time.is_zero()),
        };
        BatchView {
            phase: "building".to_owned(),
            tasks: 45,
            ended: 12,
            failed: 2,
            blocked: 3,
            left: Some((Duration::from_secs(250), ago(10))),
            running: vec![
                running("curl.7.88 with gcc.12", 70, 130),
                running("test of zlib.1.3 with gcc.12", 4, 0),
                running("lua.5.4 with clang.14", 0, 9),
            ],
        }
    }

    #[test]
    fn what_runs_is_shown_with_its_age_as_far_as_there_is_room() {
        let now = Instant::now();
        assert_eq!(
            view(now).render(80, 24, now),
            "[12/45] building, 2 failed, 3 blocked, about 4 min left\n\
             \x20 curl.7.88 with gcc.12         70 s of 2 min\n\
             \x20 test of zlib.1.3 with gcc.12  4 s\n\
             \x20 lua.5.4 with clang.14         of 9 s"
        );
        let narrow = view(now).render(20, 4, now);
        assert_eq!(narrow, "[12/45] building, 2 \n  curl.7.88 with gcc\n  and 2 more");
        for (width, height) in [(0, 0), (1, 1), (7, 3), (200, 50)] {
            let lines = view(now).render(width, height, now);
            assert!(lines.lines().all(|line| line.width() <= width));
            assert!(lines.lines().count() <= height.max(2), "{lines}");
        }
        let before = BatchView { phase: "solving".to_owned(), ..BatchView::default() };
        assert_eq!(before.render(80, 24, now), "solving");
    }
}
