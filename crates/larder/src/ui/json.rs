//! Events as JSON.

use larder_engine::event::Event;
use larder_runs::sanitise;
use larder_trace::LogEntry;
use serde_json::{Value, json};

/// A line of JSON in which what a terminal would take for a command is spelled out. Such characters stand
/// only within strings, so the line says the same as before.
pub(super) fn escape(json: &str) -> String {
    let commands = |c: char| {
        let bidirectional = matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        bidirectional || matches!(c, '\u{7f}'..='\u{9f}')
    };
    if !json.contains(commands) {
        return json.to_owned();
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match commands(c) {
            true => escaped += &format!("\\u{:04x}", u32::from(c)),
            false => escaped.push(c),
        }
    }
    escaped
}

/// A message of a log. `new` says that no step before has said it.
fn entry_json(entry: &LogEntry, new: bool) -> Value {
    let mut json = json!({ "level": entry.level, "message": sanitise::text(&entry.message) });
    if let Some(diagnostic) = &entry.diagnostic {
        json["diagnostic"] = json!(diagnostic);
        json["repeated"] = (!new).into();
    }
    json
}

/// An event of a build as `--json` prints it, if it does. `new` says which messages of its log are.
pub(super) fn event_json(event: &Event<'_>, new: &[bool]) -> Option<Value> {
    Some(match event {
        // Of use only while it lasts.
        Event::Planning { .. } => return None,
        Event::Waiting { holder } => json!({ "event": "waiting", "holder": holder }),
        Event::Started { step, counts: progress } => json!({
            "event": "started",
            "target": step.target,
            "output": step.output,
            "progress": progress,
        }),
        Event::Ended { step, ended, counts: progress } => {
            let log = ended.log.iter().zip(new).map(|(entry, new)| entry_json(entry, *new));
            let mut json = json!({
                "event": "ended",
                "target": step.target,
                "output": step.output,
                "status": ended.status,
                "reason": ended.reason.map(ToString::to_string),
                "error": ended.error,
                "command": ended.command,
                "log": log.collect::<Vec<_>>(),
                "milliseconds": ended.took.as_millis() as u64,
                "progress": progress,
            });
            if let Some(ran) = ended.ran {
                json["ran"] = json!(ran);
            }
            json
        }
        Event::Tested { target, tested } => json!({
            "event": "tested",
            "target": target,
            "outcome": tested.outcome,
            "passed": tested.outcome.success(),
            "failure": tested.last().failure,
            "output": tested.last().output,
            "milliseconds": tested.last().took.as_millis() as u64,
            "attempts": tested.attempts,
            "directory": tested.kept,
        }),
        Event::Note { level, message } => {
            json!({ "event": "note", "level": level, "message": message })
        }
    })
}
