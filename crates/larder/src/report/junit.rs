//! Results as JUnit XML, as CI services read it. Attempts are told as Maven's Surefire tells them: `flakyFailure` of a
//! case that worked later, `rerunFailure` of one that did not.

use std::{io, time::Duration};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

type Xml = Writer<Vec<u8>>;

/// Cases that belong together.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// A case: something that works or does not.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The group that it belongs to.
    pub class: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a case.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was tried, at least once; the last attempt counts.
    Tried(Vec<Attempt>),
    /// It was known before: the attempt was made in another run.
    Known(Attempt),
    /// It was not tried though it should have been, and this is why.
    NotTried(String),
    /// It was not to be tried, and this is why.
    Skipped(String),
}

/// An attempt at a case.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// How it failed; none where it worked.
    pub failure: Option<Failure>,
    /// How long it took.
    pub took: Duration,
    /// What it printed.
    pub output: String,
}

/// How an attempt failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The kind of failure, a word.
    pub kind: String,
    /// A line that says it.
    pub message: String,
}

/// Numbers of cases.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    took: Duration,
}

/// Returns suites of cases that each come with the name of theirs: those of a suite stand together.
pub fn suites(cases: impl IntoIterator<Item = (String, Case)>) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for (name, case) in cases {
        match suites.last_mut().filter(|suite| suite.name == name) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite { name, cases: vec![case] }),
        }
    }
    suites
}

/// Renders suites. They took the time of their cases together, unless it is said how long they `took`.
pub fn render(name: &str, suites: &[Suite], took: Option<Duration>) -> Vec<u8> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory cannot fail.
    _ = write(&mut xml, name, suites, took);
    let mut text = xml.into_inner();
    text.push(b'\n');
    text
}

fn write(xml: &mut Xml, name: &str, suites: &[Suite], took: Option<Duration>) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all = Counts::of(suites.iter().flat_map(|suite| &suite.cases));
    let all = Counts { took: took.unwrap_or(all.took), ..all }.attributes();
    let element = xml.create_element("testsuites").with_attribute(("name", &*text(name)));
    element.with_attributes(all.iter().map(pair)).write_inner_content(|xml| {
        for suite in suites {
            let counts = Counts::of(&suite.cases).attributes();
            let element =
                xml.create_element("testsuite").with_attribute(("name", &*text(&suite.name)));
            element.with_attributes(counts.iter().map(pair)).write_inner_content(|xml| {
                suite.cases.iter().try_for_each(|case| write_case(xml, case))
            })?;
        }
        Ok(())
    })?;
    Ok(())
}

impl Counts {
    fn of<'c>(cases: impl IntoIterator<Item = &'c Case>) -> Self {
        let mut counts = Self::default();
        for case in cases {
            counts.tests += 1;
            counts.took += case.took();
            match &case.outcome {
                Outcome::Tried(attempts) => {
                    let failed = attempts.last().is_some_and(|last| last.failure.is_some());
                    counts.failures += usize::from(failed);
                }
                Outcome::Known(attempt) => {
                    counts.failures += usize::from(attempt.failure.is_some())
                }
                Outcome::NotTried(_) => counts.errors += 1,
                Outcome::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }

    fn attributes(&self) -> [(&'static str, String); 5] {
        [
            ("tests", self.tests.to_string()),
            ("failures", self.failures.to_string()),
            ("errors", self.errors.to_string()),
            ("skipped", self.skipped.to_string()),
            ("time", seconds(self.took)),
        ]
    }
}

impl Case {
    /// The time that it took in this run.
    fn took(&self) -> Duration {
        match &self.outcome {
            Outcome::Tried(attempts) => attempts.iter().map(|attempt| attempt.took).sum(),
            Outcome::Known(_) | Outcome::NotTried(_) | Outcome::Skipped(_) => Duration::ZERO,
        }
    }
}

fn write_case(xml: &mut Xml, case: &Case) -> io::Result<()> {
    let (name, class, time) = (text(&case.name), text(&case.class), seconds(case.took()));
    let attributes = [("name", &*name), ("classname", &*class), ("time", &*time)];
    let element = xml.create_element("testcase").with_attributes(attributes);
    element.write_inner_content(|xml| match &case.outcome {
        Outcome::NotTried(why) => empty(xml, "error", &[("message", &text(why))]),
        Outcome::Skipped(why) => empty(xml, "skipped", &[("message", &text(why))]),
        Outcome::Known(attempt) => {
            let known = [("name", "larder.cached"), ("value", "true")];
            let properties = xml.create_element("properties");
            properties.write_inner_content(|xml| empty(xml, "property", &known))?;
            write_attempts(xml, std::slice::from_ref(attempt))
        }
        Outcome::Tried(attempts) => write_attempts(xml, attempts),
    })?;
    Ok(())
}

fn write_attempts(xml: &mut Xml, attempts: &[Attempt]) -> io::Result<()> {
    let Some((last, before)) = attempts.split_last() else { return Ok(()) };
    write_failure(xml, "failure", last)?;
    let again = if last.failure.is_none() { "flakyFailure" } else { "rerunFailure" };
    before.iter().try_for_each(|attempt| write_failure(xml, again, attempt))?;
    if !last.output.is_empty() {
        let output = text(&last.output);
        xml.create_element("system-out").write_text_content(BytesText::new(&output))?;
    }
    Ok(())
}

fn write_failure(xml: &mut Xml, element: &str, attempt: &Attempt) -> io::Result<()> {
    let Some(failure) = &attempt.failure else { return Ok(()) };
    let (message, kind, time) =
        (text(&failure.message), text(&failure.kind), seconds(attempt.took));
    let mut attributes = vec![("message", &*message), ("type", &*kind)];
    // The last attempt's is the case's own.
    if element != "failure" {
        attributes.push(("time", &time));
    }
    let output = text(&attempt.output);
    let element = xml.create_element(element).with_attributes(attributes);
    element.write_text_content(BytesText::new(&output))?;
    Ok(())
}

fn empty(xml: &mut Xml, element: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
    xml.create_element(element).with_attributes(attributes.iter().copied()).write_empty()?;
    Ok(())
}

fn pair<'a>((name, value): &'a (&'static str, String)) -> (&'a str, &'a str) {
    (name, value)
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// A text without what XML has no way to say: colours are left out, other control characters shown as
/// replaced.
fn text(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    plain.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
