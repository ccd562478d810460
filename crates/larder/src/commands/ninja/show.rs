//! Progress as Ninja shows it.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use larder_engine::event::{Ended, Event, Reporter, Status, StepCounts, StepName};
use larder_project::ninja::{CONSOLE, EdgeId, Graph, Quoting};
use larder_trace::{Level, LogEntry};

use super::App;
use crate::ui::Ui;

/// The form of the line's beginning where `NINJA_STATUS` is not set.
const STATUS: &str = "[%f/%t] ";

/// Shows progress as Ninja does: a line for each command, on standard output.
pub struct Show {
    ui: Arc<Ui>,
    form: String,
    quiet: bool,
    verbose: bool,
    explain: bool,
    /// The columns of the terminal, if there is one to write the line over again.
    columns: Option<usize>,
    color: bool,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    graph: Option<Arc<Graph>>,
    started: usize,
    /// Commands that have ended, and outputs that came from the store. Events come from many threads, and the counts in
    /// them in any order.
    finished: usize,
    /// How many there are to be, as far as is known, and how many of these turned out to be up to date.
    expected: usize,
    replayed: usize,
    /// Whether the last line can be written over.
    open: bool,
    /// Commands that have the terminal.
    attached: usize,
    /// What is to be shown when they have ended.
    held: Vec<String>,
}

impl Show {
    /// Shows what `app`'s options and environment ask for.
    pub fn new(app: &App, explain: bool) -> Self {
        let form = app.environment.get("NINJA_STATUS").and_then(|form| form.to_str());
        let dumb = app.environment.get("TERM").is_none_or(|term| term == "dumb");
        let terminal = io::stdout().is_terminal() && !dumb && app.global.verbose == 0;
        Self {
            ui: app.ui.clone(),
            form: form.unwrap_or(STATUS).to_owned(),
            quiet: app.global.quiet,
            verbose: app.global.verbose > 0,
            explain,
            columns: terminal.then(columns),
            color: app.ui.color_of(io::stdout().is_terminal()),
            began: Instant::now(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a graph that was read.
    pub fn graph(&self, graph: &Arc<Graph>) {
        graph.warnings.iter().for_each(|warning| self.ui.note(Level::Warning, warning));
        self.state().graph = Some(graph.clone());
    }

    /// Shows what would be built.
    pub fn plan(&self, graph: &Graph, planned: &[EdgeId]) {
        let planned: Vec<EdgeId> =
            planned.iter().copied().filter(|id| !graph.is_phony(*id)).collect();
        let mut state = State { expected: planned.len(), ..State::default() };
        for &id in &planned {
            state.started += 1;
            state.finished += 1;
            let text = if self.verbose { graph.command(id) } else { graph.description(id) };
            let text = text.unwrap_or_default();
            self.ui.result(&format!("{}{text}", self.status(&state)));
        }
    }

    /// Ends the line that is open.
    pub fn end(&self) {
        let mut state = self.state();
        self.close(&mut state);
    }

    /// Returns the beginning of a line.
    fn status(&self, state: &State) -> String {
        let (started, finished) = (state.started, state.finished);
        let total = state.total();
        let seconds = self.began.elapsed().as_secs_f64();
        let percent = (finished * 100).checked_div(total).unwrap_or(100);
        let rate = || if seconds > 0.0 { finished as f64 / seconds } else { 0.0 };
        let left = match finished {
            0 => 0.0,
            finished => seconds / finished as f64 * total.saturating_sub(finished) as f64,
        };
        let clock = |seconds: f64| {
            let seconds = seconds as u64;
            match seconds / 3600 {
                0 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
                hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
            }
        };
        let mut out = String::new();
        let mut rest = self.form.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            out += &match rest.next() {
                Some('%') => "%".to_owned(),
                Some('s') => started.to_string(),
                Some('t') => total.to_string(),
                Some('f') => finished.to_string(),
                Some('r') => started.saturating_sub(finished).to_string(),
                Some('u') => total.saturating_sub(started).to_string(),
                Some('p' | 'P') => format!("{percent:3}%"),
                Some('o' | 'c') => format!("{:.1}", rate()),
                Some('e') => format!("{seconds:.3}"),
                Some('w') => clock(seconds),
                Some('E') => format!("{left:.3}"),
                Some('W') => clock(left),
                other => format!("%{}", other.map_or(String::new(), String::from)),
            };
        }
        out
    }

    fn close(&self, state: &mut State) {
        if std::mem::take(&mut state.open) {
            let _ = writeln!(io::stdout());
        }
    }

    /// Shows a line that the next may take the place of.
    fn line(&self, state: &mut State, text: &str) {
        let Some(columns) = self.columns else { return self.say(state, text) };
        if state.attached > 0 {
            return;
        }
        let text = text.lines().next().unwrap_or("");
        let mut out = io::stdout().lock();
        let _ = write!(out, "\r{}\x1b[K", shortened(text, columns));
        let _ = out.flush();
        state.open = true;
    }

    /// Shows a text that stays.
    fn say(&self, state: &mut State, text: &str) {
        if state.attached > 0 {
            state.held.push(text.to_owned());
            return;
        }
        self.close(state);
        let text = text.trim_end_matches('\n');
        match self.color {
            true => self.ui.result(text),
            false => self.ui.result(&anstream::adapter::strip_str(text).to_string()),
        }
    }

    /// Whether a step's command has the terminal.
    fn is_attached(&self, state: &State, step: &StepName<'_>) -> bool {
        let edge = state.graph.as_ref().and_then(|graph| {
            let node = graph.find(step.output)?;
            Some((graph, graph.node(node).made_by?))
        });
        edge.is_some_and(|(graph, id)| {
            graph.variable(id, "pool", Quoting::Shell).is_ok_and(|pool| pool == CONSOLE)
        })
    }

    fn started(&self, step: &StepName<'_>, counts: &StepCounts) {
        let mut state = self.state();
        state.started += 1;
        state.expect(counts);
        let attached = self.is_attached(&state, step);
        if self.quiet && !attached {
            return;
        }
        let text = format!("{}{}", self.status(&state), step.target);
        if attached {
            if !self.quiet {
                self.say(&mut state, &text);
            }
            state.attached += 1;
        } else if self.columns.is_some() {
            self.line(&mut state, &text);
        }
    }

    fn ended(&self, step: &StepName<'_>, ended: &Ended<'_>, counts: &StepCounts) {
        let mut state = self.state();
        state.started += usize::from(ended.status == Status::Restored);
        let finished = matches!(ended.status, Status::Built | Status::Restored | Status::Failed);
        state.finished += usize::from(finished);
        state.expect(counts);
        let ran = matches!(ended.status, Status::Built | Status::Failed);
        let attached = ran && self.is_attached(&state, step) && state.attached > 0;
        if attached {
            state.attached -= 1;
            if state.attached == 0 {
                let held = std::mem::take(&mut state.held);
                held.iter().for_each(|text| self.say(&mut state, text));
            }
        }
        if let Some(reason) = ended.reason.filter(|_| self.explain) {
            let _ = writeln!(io::stderr(), "ninja explain: {}: {reason}", step.output);
        }
        let status = self.status(&state);
        match ended.status {
            Status::Built if !attached && !self.quiet => {
                let text = format!("{status}{}", step.target);
                self.line(&mut state, &text);
            }
            Status::Restored if !self.quiet => {
                let text = format!("{status}{} (restored)", step.target);
                self.line(&mut state, &text);
            }
            Status::Failed => {
                let mut text = format!("FAILED: {}", outputs(&state, step));
                match ended.command {
                    Some(command) => text += &format!("\n{command}"),
                    None => text += &format!(": {}", ended.error.unwrap_or("it failed")),
                }
                self.say(&mut state, &text);
            }
            _ => {}
        }
        self.log(&mut state, ended.status, ended.log);
        if let Some(error) = ended.error.filter(|_| ended.command.is_some()) {
            let error = explained(error, !ended.log.is_empty());
            error.iter().for_each(|error| self.say(&mut state, error));
        }
    }

    /// Shows what a command printed; again, where that is a warning.
    fn log(&self, state: &mut State, status: Status, log: &[LogEntry]) {
        for entry in log {
            let again = matches!(status, Status::Replayed | Status::Restored);
            if !again || entry.level >= Level::Warning && !self.quiet || self.verbose {
                self.say(state, &entry.message);
            }
        }
    }
}

impl Reporter for Show {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { step, counts } => self.started(step, counts),
            Event::Ended { step, ended, counts } => self.ended(step, ended, counts),
            Event::Note { level, message } => self.ui.note(*level, message),
            other => self.ui.event(other),
        }
    }

    fn wants_everything(&self) -> bool {
        self.verbose
    }
}

impl State {
    /// Takes note of how many commands there are to be: the number only grows where more become known, and only falls
    /// where some turn out to be up to date.
    fn expect(&mut self, counts: &StepCounts) {
        self.expected = self.expected.max(counts.total);
        self.replayed = self.replayed.max(counts.replayed);
    }

    fn total(&self) -> usize {
        self.expected.saturating_sub(self.replayed).max(self.finished)
    }
}

/// Returns what is to be said of an error: where the command has `said` something, its exit code says nothing more.
fn explained(error: &str, said: bool) -> Option<String> {
    let (first, rest) = error.split_once('\n').unwrap_or((error, ""));
    let exit = first.starts_with("failed with") || first.starts_with("was ");
    match (exit, said) {
        (true, true) if rest.is_empty() => None,
        (true, true) => Some(rest.to_owned()),
        (true, false) => Some(format!("it {error}")),
        (false, _) => Some(error.to_owned()),
    }
}

/// Returns all that the edge of a step makes.
fn outputs(state: &State, step: &StepName<'_>) -> String {
    let edge = state.graph.as_ref().and_then(|graph| {
        let id = graph.node(graph.find(step.output)?).made_by?;
        let outputs = graph.edge(id).outputs.iter();
        Some(outputs.map(|node| &*graph.node(*node).path).collect::<Vec<_>>().join(" "))
    });
    edge.unwrap_or_else(|| step.output.to_owned())
}

fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| usize::from(size.ws_col).max(20))
}

/// A line with its middle left out where it is longer than the terminal is wide.
fn shortened(text: &str, columns: usize) -> String {
    let length = text.chars().count();
    if length < columns {
        return text.to_owned();
    }
    let half = (columns - 4) / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    format!("{start}...{end}")
}
