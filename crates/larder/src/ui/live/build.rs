//! What a terminal shows of a build: one line.

use std::time::Instant;

use larder_engine::{diagnostics::DiagnosticCounts, event::StepCounts};
use unicode_width::UnicodeWidthStr;

use super::{age, cut};
use crate::commands::describe_diagnostics;

/// How far a build is, what it has found, and what runs for how long.
#[derive(Default)]
pub struct BuildView {
    /// What runs, oldest first, and since when.
    pub running: Vec<(String, Instant)>,
    pub counts: StepCounts,
    pub found: DiagnosticCounts,
    /// What goes on before there are steps.
    pub before: Option<Before>,
}

/// What goes on before there are steps.
pub enum Before {
    /// So many targets have been planned, of so many.
    Planning(usize, usize),
    /// Something else, since then.
    Working(String, Instant),
}

impl BuildView {
    /// Returns the line, at most so wide.
    pub fn render(&self, width: usize, now: Instant) -> String {
        let counts = &self.counts;
        let total = counts.total.max(counts.ended());
        let mut line = match &self.before {
            Some(Before::Planning(made, of)) => format!("planning {made} of {of} targets"),
            Some(Before::Working(text, since)) => {
                format!("{text}{}", age(now.saturating_duration_since(*since)))
            }
            None => format!("[{}/{total}]", counts.ended()),
        };
        line += &describe_diagnostics(self.found).replacen(", ", " ", 1);
        let mut before = ' ';
        for (number, (name, since)) in self.running.iter().enumerate() {
            let job = format!("{before} {name}{}", age(now.saturating_duration_since(*since)));
            let job = if before == ' ' { job[1..].to_owned() } else { job };
            let left = self.running.len() - number;
            let more = if left > 1 { format!(", +{}", left - 1) } else { String::new() };
            if line.width() + job.width() + more.width() > width && number > 0 {
                line += &format!(", +{left}");
                break;
            }
            line += &job;
            before = ',';
        }
        cut(&line, width)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn view(now: Instant) -> BuildView {
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        BuildView {
            running: vec![
                ("a:o x.o".to_owned(), ago(130)),
                ("b:o y.o".to_owned(), ago(4)),
                ("c:o z.o".to_owned(), now),
            ],
            counts: StepCounts { total: 9, built: 3, ..StepCounts::default() },
            found: DiagnosticCounts { errors: 0, warnings: 2 },
            before: None,
        }
    }

    #[test]
    fn as_many_jobs_are_shown_as_fit_oldest_first() {
        let now = Instant::now();
        let line = |width| view(now).render(width, now);
        assert_eq!(line(80), "[3/9] 2 warnings a:o x.o 2 min 10 s, b:o y.o 4 s, c:o z.o");
        assert_eq!(line(50), "[3/9] 2 warnings a:o x.o 2 min 10 s, +2");
        assert_eq!(line(10), "[3/9] 2 wa");
        for width in 0..70 {
            assert!(line(width).width() <= width);
        }
        let before = |before| BuildView { before: Some(before), ..BuildView::default() };
        let planning = before(Before::Planning(64, 900));
        assert_eq!(planning.render(80, now), "planning 64 of 900 targets");
        let ago = now.checked_sub(Duration::from_secs(7)).unwrap();
        let working = before(Before::Working("asking CMake".to_owned(), ago));
        assert_eq!(working.render(80, now), "asking CMake 7 s");
    }
}
