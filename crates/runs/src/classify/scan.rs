//! Reading a log once, in constant memory, and keeping the lines that tell something.

use super::rules::{Role, Rule, Rules, Weight};
use super::{Classification, verdict};
use crate::Category;
use crate::result::{Exit, Stage};
use crate::sanitise;

/// How much is looked at together, in bytes.
const BLOCK: usize = 256 * 1024;
/// How much of a line is looked at, in bytes.
const LONGEST_LINE: usize = 64 * 1024;
/// The longest error line that is kept, in bytes.
const LONGEST_ERROR: usize = 300;
/// How many lines apart two lines may be that together tell something.
const NEAR: u64 = 40;

/// Reads the log of one process, piece by piece.
#[derive(Debug)]
pub struct Scanner<'r> {
    rules: &'r Rules,
    stage: Stage,
    /// The beginning of a line whose end has not come yet, or of a block.
    buffer: Vec<u8>,
    /// The rest of the line in the buffer is passed over.
    passing: bool,
    /// Where the buffer begins in the log.
    offset: u64,
    /// The number of the line with which the buffer begins.
    line: u64,
    pub(super) evidence: Evidence,
}

/// The lines of a log that say something.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// For each rule, what it found.
    pub traces: Vec<Trace>,
    /// The last line that is not blank.
    pub last: Option<Finding>,
    /// How many lines there are.
    pub lines: u64,
}

/// The lines that one rule found.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// Its first line that counts.
    pub found: Option<Finding>,
    /// The number of its last line that counts.
    pub latest: u64,
    /// A line that waits for one that makes it count.
    pending: Option<Finding>,
    /// The number of the last line after which it counts.
    header: Option<u64>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub line: u64,
    pub offset: u64,
    pub text: String,
}

impl<'r> Scanner<'r> {
    /// One for the log of a process of this stage.
    pub fn new(rules: &'r Rules, stage: Stage) -> Scanner<'r> {
        let traces = vec![Trace::default(); rules.rules.len()];
        Scanner {
            rules,
            stage,
            buffer: Vec::new(),
            passing: false,
            offset: 0,
            line: 1,
            evidence: Evidence { traces, ..Evidence::default() },
        }
    }

    /// Takes the next piece of the log, which may end anywhere.
    pub fn push(&mut self, piece: &[u8]) {
        for part in piece.chunks(BLOCK) {
            self.buffer.extend_from_slice(part);
            if self.buffer.len() >= BLOCK {
                self.drain();
            }
        }
    }

    /// Decides what happened to the process that wrote all this and ended like this; `None` where its end is not known.
    pub fn finish(mut self, exit: Option<&Exit>) -> Classification {
        self.drain();
        let rest = std::mem::take(&mut self.buffer);
        if !rest.is_empty() && !self.passing {
            self.block(&rest);
        }
        self.evidence.lines = self.line;
        verdict::decide(self.rules, self.stage, exit, &self.evidence)
    }

    /// Looks at the complete lines in the buffer and forgets them; of a line that is too long, at its beginning.
    fn drain(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut start = 0;
        if self.passing {
            start = memchr::memchr(b'\n', &buffer).map_or(buffer.len(), |end| end + 1);
            let ended = buffer.get(..start).is_some_and(|passed| passed.ends_with(b"\n"));
            self.passing = !ended;
            self.line += u64::from(ended);
            self.offset += start as u64;
        }
        let rest = buffer.get(start..).unwrap_or_default();
        let complete = memchr::memrchr(b'\n', rest).map_or(0, |end| end + 1);
        let (lines, mut open) = rest.split_at_checked(complete).unwrap_or_default();
        if !lines.is_empty() {
            self.block(lines);
        }
        if open.len() > LONGEST_LINE {
            self.block(open.get(..LONGEST_LINE).unwrap_or_default());
            self.offset += (open.len() - LONGEST_LINE) as u64;
            self.passing = true;
            open = &[];
        }
        let kept = open.len();
        buffer.drain(..buffer.len() - kept);
        self.buffer = buffer;
    }

    /// Looks at lines: at all of them together first, because most say nothing.
    fn block(&mut self, lines: &[u8]) {
        let plain = memchr::memchr2(b'\r', 0x1b, lines).is_none();
        let matters = match plain {
            true => self.rules.patterns.is_match(lines),
            false => self.rules.patterns.is_match(sanitise::text(lines).as_bytes()),
        };
        let (mut line, mut offset) = (self.line, self.offset);
        if matters {
            for raw in lines.split_inclusive(|byte| *byte == b'\n') {
                let mut at = offset;
                for shown in raw.split_inclusive(|byte| *byte == b'\r') {
                    self.look(shown, line, at);
                    at += shown.len() as u64;
                }
                offset += raw.len() as u64;
                line += u64::from(raw.ends_with(b"\n"));
            }
        } else {
            line += memchr::memchr_iter(b'\n', lines).count() as u64;
        }
        self.remember_last(lines, line);
        self.line = line;
        self.offset += lines.len() as u64;
    }

    /// Looks at one line, as it is shown.
    fn look(&mut self, raw: &[u8], line: u64, offset: u64) {
        let raw = raw.get(..LONGEST_LINE).unwrap_or(raw);
        let cleaned;
        let text = match raw.is_ascii() && !raw.contains(&0x1b) {
            true => raw.trim_ascii_end(),
            false => {
                cleaned = sanitise::text(raw);
                cleaned.trim_ascii_end().as_bytes()
            }
        };
        let matching = self.rules.patterns.matches(text);
        if !matching.matched_any() {
            return;
        }
        let finding = || Finding { line, offset, text: excerpt(text) };
        let near = |other: &u64| line - other <= NEAR;
        let (mut waiting, mut decided, mut confirmed) = (Vec::new(), None, Vec::new());
        for (number, role) in matching.iter().filter_map(|index| self.rules.roles.get(index)) {
            let Some((rule, trace)) =
                self.rules.rules.get(*number).zip(self.evidence.traces.get_mut(*number))
            else {
                continue;
            };
            match role {
                Role::Header => trace.header = Some(line),
                Role::Confirmation => confirmed.extend(
                    trace
                        .pending
                        .take()
                        .filter(|pending| near(&pending.line))
                        .map(|pending| (*number, pending)),
                ),
                Role::Line => {
                    let headed = !rule.after || trace.header.as_ref().is_some_and(near);
                    if headed && rule.counts_in(self.stage) && self.stands(rule, text) {
                        match rule.then {
                            true => waiting.push(*number),
                            false => decided = decided.or(Some(*number)),
                        }
                    }
                }
            }
        }
        // A line that makes another count is only that.
        if !confirmed.is_empty() {
            for (number, pending) in confirmed {
                self.evidence.record(self.rules, number, pending, line);
            }
            return;
        }
        for number in waiting {
            if let Some(trace) = self.evidence.traces.get_mut(number) {
                let pending = trace.pending.take().filter(|pending| near(&pending.line));
                trace.pending = pending.or_else(|| Some(finding()));
            }
        }
        if let Some(number) = decided {
            self.evidence.record(self.rules, number, finding(), line);
        }
    }

    /// Whether an error stands on a line that matches a rule.
    fn stands(&self, rule: &Rule, line: &[u8]) -> bool {
        let quoted = rule.category.is_weather()
            && rule.weight != Weight::Decisive
            && !rule.then
            && self.rules.quoting.is_match(line);
        !quoted && !rule.except.is_match(line)
    }

    /// Keeps the last line of these that is not blank; `next` is the number of the line after them.
    fn remember_last(&mut self, lines: &[u8], next: u64) {
        let text = lines.trim_ascii_end();
        if text.is_empty() {
            return;
        }
        let blank = lines.get(text.len()..).unwrap_or_default();
        let start = memchr::memrchr2(b'\n', b'\r', text).map_or(0, |end| end + 1);
        self.evidence.last = Some(Finding {
            line: next - memchr::memchr_iter(b'\n', blank).count() as u64,
            offset: self.offset + start as u64,
            text: excerpt(text.get(start..).unwrap_or_default()),
        });
    }
}

impl Evidence {
    /// Notes that a rule found a line. Whatever fails after weather, the build had survived the weather.
    fn record(&mut self, rules: &Rules, number: usize, finding: Finding, line: u64) {
        let Some(rule) = rules.rules.get(number) else {
            return;
        };
        if rule.weight == Weight::Specific && !rule.category.is_weather() {
            for (other, trace) in rules.rules.iter().zip(&mut self.traces) {
                // What memory or the disk lacks may well end in a crash.
                let ends_so = matches!(other.category, Category::OutOfMemory | Category::DiskFull);
                if other.category.is_weather() && !(rule.category == Category::Crash && ends_so) {
                    trace.found = None;
                }
            }
        }
        if let Some(trace) = self.traces.get_mut(number) {
            trace.latest = line;
            trace.found.get_or_insert(finding);
        }
    }
}

/// A line fit for a table: without control characters, cut to [`LONGEST_ERROR`].
fn excerpt(line: &[u8]) -> String {
    let line = line.get(..LONGEST_ERROR * 4).unwrap_or(line);
    let mut text = sanitise::line(line).trim().to_owned();
    if text.len() > LONGEST_ERROR {
        text.truncate(text.floor_char_boundary(LONGEST_ERROR - '…'.len_utf8()));
        text.push('…');
    }
    text
}
