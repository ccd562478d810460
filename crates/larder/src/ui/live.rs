//! What a terminal shows of what is going on, below all that was printed. It is drawn by the clock, for what runs long
//! tells nothing of itself.

mod batch;
mod build;

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
use unicode_width::UnicodeWidthChar;

pub use self::batch::BatchView;
use self::build::{Before, BuildView};

/// How often it is drawn.
const BEAT: Duration = Duration::from_millis(100);

/// The view, while there is one.
pub struct Live {
    bar: ProgressBar,
    state: Arc<Mutex<View>>,
}

/// What is going on.
enum View {
    /// A build.
    Build(BuildView),
    /// A batch.
    Batch(BatchView),
}

impl Default for View {
    fn default() -> Self {
        Self::Build(BuildView::default())
    }
}

impl View {
    /// Returns the lines, each at most so wide, and at most so many.
    fn render(&self, (width, height): (usize, usize), now: Instant) -> String {
        match self {
            Self::Build(view) => view.render(width, now),
            Self::Batch(view) => view.render(width, height, now),
        }
    }
}

impl Live {
    /// A line as wide as the terminal, or as `columns` where that does not say.
    pub fn new(columns: Option<usize>) -> Self {
        let state: Arc<Mutex<View>> = Arc::default();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(15));
        let shown = state.clone();
        let render = move |_: &ProgressState, line: &mut dyn Write| {
            // Writing to a text does not fail.
            let _ = line.write_str(&lock(&shown).render(size(columns), Instant::now()));
        };
        if let Ok(style) = ProgressStyle::with_template("{build}") {
            bar.set_style(style.with_key("build", render));
        }
        Self { bar, state }
    }

    fn build(&self, change: impl FnOnce(&mut BuildView)) {
        if let View::Build(view) = &mut *lock(&self.state) {
            change(view);
        }
    }

    /// Shows a batch from now on, changed so.
    pub fn batch(&self, change: impl FnOnce(&mut BatchView)) {
        let mut state = lock(&self.state);
        if !matches!(*state, View::Batch(_)) {
            *state = View::Batch(BatchView::default());
        }
        if let View::Batch(view) = &mut *state {
            change(view);
        }
    }

    /// Begins to draw.
    pub fn begin(&self) {
        self.bar.enable_steady_tick(BEAT);
    }

    /// Takes note of how many targets have been planned.
    pub fn planned(&self, made: usize, of: usize) {
        self.build(|view| view.before = (made < of).then_some(Before::Planning(made, of)));
    }

    /// Takes note of what is being done before there are steps.
    pub fn working(&self, text: &str) {
        let working = Before::Working(text.to_owned(), Instant::now());
        self.build(|view| view.before = Some(working));
    }

    /// Takes note of a command that starts.
    pub fn started(&self, step: StepName<'_>, counts: StepCounts) {
        self.build(|view| {
            view.running.push((step.to_string(), Instant::now()));
            view.counts = counts;
        });
    }

    /// Takes note of a step that has ended, and of what was found so far.
    pub fn ended(&self, step: StepName<'_>, counts: StepCounts, found: Option<DiagnosticCounts>) {
        let name = step.to_string();
        self.build(|view| {
            if let Some(at) = view.running.iter().position(|(running, _)| *running == name) {
                view.running.remove(at);
            }
            view.counts = counts;
            view.found = found.unwrap_or(view.found);
        });
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

fn lock(state: &Mutex<View>) -> MutexGuard<'_, View> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many columns and rows there are.
fn size(columns: Option<usize>) -> (usize, usize) {
    let terminal = rustix::termios::tcgetwinsize(io::stderr()).ok();
    let known = |count: u16| Some(usize::from(count)).filter(|count| *count > 0);
    let width = terminal.and_then(|size| known(size.ws_col)).or(columns);
    (width.unwrap_or(80), terminal.and_then(|size| known(size.ws_row)).unwrap_or(24))
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
