//! The live line of a terminal: how far the build is, what it has found, and what runs for how long. It
//! is drawn by the clock, for what runs long tells nothing of itself.

use std::{
    fmt::Write,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use larder_engine::{
    diagnostics::DiagnosticCounts,
    event::{StepCounts, StepName},
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::commands::describe_diagnostics;

/// How often it is drawn.
const BEAT: Duration = Duration::from_millis(100);

/// The line, while there is one.
pub struct Live {
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
}

/// All that the line tells.
#[derive(Default)]
struct State {
    /// What runs, oldest first, and since when.
    running: Vec<(String, Instant)>,
    counts: StepCounts,
    found: DiagnosticCounts,
    /// What goes on before there are steps.
    before: Option<Before>,
}

/// What goes on before there are steps.
enum Before {
    /// So many targets have been planned, of so many.
    Planning(usize, usize),
    /// Something else, since then.
    Working(String, Instant),
}

impl Live {
    /// A line as wide as the terminal, or as `columns` where that does not say.
    pub fn new(columns: Option<usize>) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(15));
        let shown = state.clone();
        let render = move |_: &ProgressState, line: &mut dyn Write| {
            // Writing to a text does not fail.
            let _ = line.write_str(&lock(&shown).render(width(columns), Instant::now()));
        };
        if let Ok(style) = ProgressStyle::with_template("{build}") {
            bar.set_style(style.with_key("build", render));
        }
        Self { bar, state }
    }

    /// Begins to draw.
    pub fn begin(&self) {
        self.bar.enable_steady_tick(BEAT);
    }

    /// Takes note of how many targets have been planned.
    pub fn planned(&self, made: usize, of: usize) {
        lock(&self.state).before = (made < of).then_some(Before::Planning(made, of));
    }

    /// Takes note of what is being done before there are steps.
    pub fn working(&self, text: &str) {
        lock(&self.state).before = Some(Before::Working(text.to_owned(), Instant::now()));
    }

    /// Takes note of a command that starts.
    pub fn started(&self, step: StepName<'_>, counts: StepCounts) {
        let mut state = lock(&self.state);
        state.running.push((step.to_string(), Instant::now()));
        state.counts = counts;
    }

    /// Takes note of a step that has ended, and of what was found so far.
    pub fn ended(&self, step: StepName<'_>, counts: StepCounts, found: Option<DiagnosticCounts>) {
        let mut state = lock(&self.state);
        let name = step.to_string();
        if let Some(at) = state.running.iter().position(|(running, _)| *running == name) {
            state.running.remove(at);
        }
        state.counts = counts;
        state.found = found.unwrap_or(state.found);
    }

    /// Prints above the line.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Removes the line.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn width(columns: Option<usize>) -> usize {
    let terminal = rustix::termios::tcgetwinsize(io::stderr()).ok();
    let terminal = terminal.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    terminal.or(columns).unwrap_or(80)
}

impl State {
    /// Returns the line, at most so wide.
    fn render(&self, width: usize, now: Instant) -> String {
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

/// How long something runs, once that is worth a word.
fn age(time: Duration) -> String {
    match time.as_secs() {
        0 => String::new(),
        seconds @ 1..120 => format!(" {seconds} s"),
        seconds => format!(" {} min {} s", seconds / 60, seconds % 60),
    }
}

/// Returns as much of a line as fits.
fn cut(line: &str, width: usize) -> String {
    let mut at = 0;
    line.chars()
        .take_while(|c| {
            at += c.width().unwrap_or(0);
            at <= width
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(now: Instant) -> State {
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        State {
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
        let line = |width| state(now).render(width, now);
        assert_eq!(line(80), "[3/9] 2 warnings a:o x.o 2 min 10 s, b:o y.o 4 s, c:o z.o");
        assert_eq!(line(50), "[3/9] 2 warnings a:o x.o 2 min 10 s, +2");
        assert_eq!(line(10), "[3/9] 2 wa");
        for width in 0..70 {
            assert!(line(width).width() <= width);
        }
        let before = |before| State { before: Some(before), ..State::default() };
        let planning = before(Before::Planning(64, 900));
        assert_eq!(planning.render(80, now), "planning 64 of 900 targets");
        let ago = now.checked_sub(Duration::from_secs(7)).unwrap();
        let working = before(Before::Working("asking CMake".to_owned(), ago));
        assert_eq!(working.render(80, now), "asking CMake 7 s");
    }
}
