//! The events of a build with `--json`.

use std::collections::BTreeSet;

use crate::run::Run;

/// Each output and how its step ended, and the messages beside.
#[derive(Debug)]
pub struct Built {
    /// First outputs and how their steps ended, sorted.
    pub steps: Vec<(String, String)>,
    /// The output of the steps' commands, replayed or not.
    pub log: String,
    /// Messages that belong to no step.
    pub notes: Vec<String>,
    /// Errors, and notes that are warnings or worse, as they were printed.
    pub complaints: Vec<String>,
    /// Everything, for people who look into a failure.
    pub all: String,
}

impl Built {
    /// Reads the events of a run.
    #[track_caller]
    pub fn of(run: &Run) -> Self {
        let mut built = Self {
            steps: Vec::new(),
            log: String::new(),
            notes: Vec::new(),
            complaints: Vec::new(),
            all: run.stdout.clone(),
        };
        for event in run.events() {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            match &*text("event") {
                "ended" => {
                    built.steps.push((text("output"), text("status")));
                    for entry in event["log"].as_array().unwrap() {
                        built.log.push_str(entry["message"].as_str().unwrap());
                    }
                }
                "error" => built.complaints.push(event.to_string()),
                "note" => {
                    if matches!(&*text("level"), "warning" | "error") {
                        built.complaints.push(event.to_string());
                    }
                    built.notes.push(text("message"));
                }
                _ => {}
            }
        }
        built.steps.sort();
        built
    }

    /// The outputs of steps that ended like this, sorted.
    pub fn with(&self, status: &str) -> Vec<&str> {
        let steps = self.steps.iter().filter(|(_, ended)| ended == status);
        steps.map(|(output, _)| output.as_str()).collect()
    }

    /// Returns the outputs that were built, sorted.
    pub fn built(&self) -> Vec<&str> {
        self.with("built")
    }

    /// The outputs of all steps.
    pub fn outputs(&self) -> BTreeSet<&str> {
        self.steps.iter().map(|(output, _)| output.as_str()).collect()
    }

    /// Every step must have ended like this, and there must have been one.
    #[track_caller]
    pub fn all(&self, status: &str) {
        assert!(self.steps.iter().all(|(_, ended)| ended == status), "{}", self.all);
        assert!(!self.steps.is_empty());
    }
}
