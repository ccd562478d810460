//! The steps of a build, as people read them.

use larder_engine::{
    event::{Ended, Event, Reporter, Status, StepCounts, StepName},
    executor::Ran,
};
use larder_runs::sanitise::{Colours, Sanitiser};

use super::{Shown, Ui, json::event_json, style};

impl Ui {
    fn ended(&self, step: StepName<'_>, ended: &Ended<'_>, progress: &StepCounts) {
        let news = self.tally.note(step, ended);
        if let Some(live) = &self.live {
            let says = !ended.log.is_empty() || ended.status == Status::Failed;
            let found = says.then(|| self.tally.counts());
            live.ended(step, *progress, found);
        }
        let wanted = self.shown.get_or_init(Shown::default);
        let least = wanted.least_level(ended.status, self.verbose);
        // A diagnostic that other steps said is shown with the first of them; a failure says all it has to say.
        let shown: Vec<&str> = ended
            .log
            .iter()
            .zip(news)
            .filter(|(entry, new)| ended.status == Status::Failed || entry.level >= least && *new)
            .map(|(entry, _)| entry.message.as_str())
            .collect();
        let headline = match ended.status {
            Status::Failed | Status::OutOfDate => true,
            Status::Skipped => self.verbose,
            Status::Built => {
                self.verbose || wanted.explain || self.live.is_none() || !shown.is_empty()
            }
            // The last line counts them.
            Status::Restored => self.verbose || wanted.explain || !shown.is_empty(),
            Status::Replayed => self.verbose || !shown.is_empty(),
        };
        if self.quiet && ended.status != Status::Failed && ended.status != Status::OutOfDate {
            return;
        }
        if !headline {
            return;
        }
        let (style, word) = match ended.status {
            Status::Built => (style::GREEN, "built"),
            Status::Restored => (style::GREEN, "restored"),
            Status::Replayed if shown.is_empty() => (style::DIM, "up to date"),
            Status::Replayed => (style::DIM, "replayed"),
            Status::OutOfDate => (style::YELLOW, "out of date"),
            Status::Failed => (style::RED, "failed"),
            Status::Skipped => (style::DIM, "skipped"),
        };
        let count = match ended.status {
            Status::OutOfDate => String::new(),
            _ => format!("[{}/{}] ", progress.ended(), progress.total.max(progress.ended())),
        };
        let mut text = format!(
            "{count}{} {} {}",
            self.paint(style, word),
            self.paint(style::BOLD, step.target),
            step.output
        );
        if let Some(place) = ended.ran.and_then(Ran::elsewhere).filter(|_| self.verbose) {
            text.push_str(&self.paint(style::DIM, &format!(" ({place})")));
        }
        if let Some(error) = ended.error {
            text.push_str(&format!(": {error}"));
        }
        let explain = wanted.explain || ended.status == Status::OutOfDate || self.verbose;
        if let Some(reason) = ended.reason.filter(|_| explain) {
            text.push_str(&self.paint(style::DIM, &format!(" ({reason})")));
        }
        let wants_command = ended.status == Status::Failed || self.verbose;
        if let Some(command) = ended.command.filter(|_| wants_command) {
            let command = if self.verbose { command.to_owned() } else { shorten(command) };
            text.push_str(&format!("\n  {}", self.paint(style::DIM, &command)));
        }
        for message in shown {
            text.push('\n');
            sanitise(message, self.color, &mut text);
        }
        self.say(&text);
    }
}

/// Appends what a command printed, made fit to show.
fn sanitise(message: &str, color: bool, text: &mut String) {
    let colours = if color { Colours::Keep } else { Colours::Strip };
    let mut sanitiser = Sanitiser::new(colours);
    sanitiser.push(message.as_bytes(), text);
    sanitiser.finish(text);
}

/// A command line without its middle where that is very long.
fn shorten(command: &str) -> String {
    const SHOWN: usize = 2000;
    let length = command.chars().count();
    if length <= SHOWN {
        return command.to_owned();
    }
    let start: String = command.chars().take(SHOWN / 2).collect();
    let end: String = command.chars().skip(length - SHOWN / 2).collect();
    format!("{start} … ({} more characters, shown with -v) … {end}", length - SHOWN)
}

impl Reporter for Ui {
    fn event(&self, event: &Event<'_>) {
        if let Event::Tested { target, tested } = event {
            self.tally.note_test(target, tested);
        }
        if self.json {
            let new = match event {
                Event::Ended { step, ended, .. } => self.tally.note(*step, ended),
                _ => Vec::new(),
            };
            if let Some(event) = event_json(event, &new) {
                self.emit(&event);
            }
            return;
        }
        match event {
            Event::Waiting { holder: Some(holder) } => {
                self.status(&format!(
                    "waiting for another larder in this build directory (process {holder})"
                ));
            }
            Event::Waiting { holder: None } => {
                self.status("waiting for another larder in this build directory");
            }
            Event::Planning { made, of } => {
                self.live.iter().for_each(|live| live.planned(*made, *of));
            }
            Event::Started { step, counts } => {
                self.live.iter().for_each(|live| live.started(*step, *counts));
            }
            Event::Ended { step, ended, counts: progress } => self.ended(*step, ended, progress),
            Event::Tested { target, tested } => self.tested(target, tested),
            Event::Note { level, message } => self.note(*level, message),
        }
    }

    fn wants_everything(&self) -> bool {
        self.verbose || self.json
    }
}
