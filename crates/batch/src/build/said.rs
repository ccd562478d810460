//! What builds print, on its way to a log.

use larder_engine::{
    event::{Event, Reporter, Status},
    executor::Ran,
};

use super::{Log, lock};

/// Passes bytes on. A log that takes no more is no reason to stop.
pub fn raw(log: &Log, bytes: &[u8]) {
    if let Err(error) = lock(log).write_all(bytes) {
        tracing::debug!("a log takes no more: {error}");
    }
}

/// Passes a line on.
pub fn line(log: &Log, text: &str) {
    raw(log, format!("{}\n", text.trim_end()).as_bytes());
}

/// Writes what the engine tells of a build into a log.
pub struct Told {
    log: Log,
}

impl Told {
    /// Everything goes to `log`.
    pub fn new(log: &Log) -> Self {
        Self { log: log.clone() }
    }
}

impl Reporter for Told {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Ended { step, ended, .. } => {
                let word = match ended.status {
                    Status::Replayed | Status::Skipped | Status::OutOfDate => return,
                    Status::Restored => "restored",
                    Status::Built => "built",
                    Status::Failed => "failed",
                };
                let mut text = format!("{word} {step}");
                if let Some(place) = ended.ran.and_then(Ran::elsewhere) {
                    text += &format!(" ({place})");
                }
                text.push('\n');
                if let Some(command) = ended.command.filter(|_| ended.status == Status::Failed) {
                    text += &format!("{command}\n");
                }
                for entry in ended.log {
                    text += entry.message.trim_end();
                    text.push('\n');
                }
                if let Some(error) = ended.error {
                    text += &format!("{}: {error}\n", step.target);
                }
                raw(&self.log, text.as_bytes());
            }
            Event::Note { message, .. } => line(&self.log, message),
            Event::Tested { target, tested } => {
                let last = tested.last();
                let mut text = String::new();
                if !last.output.is_empty() {
                    text += &format!("{}\n", last.output.trim_end());
                }
                text += &match &last.failure {
                    Some(failure) => format!("{target}: {failure}\n"),
                    None => format!("{target}: passed\n"),
                };
                raw(&self.log, text.as_bytes());
            }
            _ => {}
        }
    }
}
