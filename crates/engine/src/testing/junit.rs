//! Results of tests as JUnit XML, as CI systems read it.

use std::{io, time::Duration};

use larder_project::plan::Plan;
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{Attempt, Outcome, TestCounts, Tested};
use crate::build::BuildReport;

type Xml = Writer<Vec<u8>>;

/// Returns the results of a build's tests as JUnit XML: a suite for each package.
pub fn junit(report: &BuildReport) -> Vec<u8> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory cannot fail.
    let _ = write(&mut xml, report);
    let mut text = xml.into_inner();
    text.push(b'\n');
    text
}

/// A test of a package.
struct Case<'r> {
    package: &'r str,
    name: &'r str,
    tested: Option<&'r Tested>,
}

fn cases<'r>(report: &'r BuildReport, plan: &'r Plan) -> Vec<Case<'r>> {
    let case = |(id, tested): &'r (_, Option<Tested>)| {
        let target = plan.target(*id);
        Case {
            package: &plan.package_of(target).place.name,
            name: &target.name,
            tested: tested.as_ref(),
        }
    };
    let mut cases: Vec<Case<'_>> = report.tests.iter().map(case).collect();
    // Those of a package together, else in the order of the manifest.
    cases.sort_by_key(|case| case.package);
    cases
}

fn write(xml: &mut Xml, report: &BuildReport) -> io::Result<()> {
    let cases = cases(report, &report.plan);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = xml.create_element("testsuites").with_attribute(("name", "larder"));
    let suites = suites.with_attributes(attributes(&counted(&cases), report.took).iter().map(pair));
    suites.write_inner_content(|xml| {
        for suite in cases.chunk_by(|a, b| a.package == b.package) {
            let took = suite.iter().map(|case| case.took()).sum();
            let element = xml.create_element("testsuite");
            let element = element.with_attribute(("name", suite[0].package));
            let element =
                element.with_attributes(attributes(&counted(suite), took).iter().map(pair));
            element.write_inner_content(|xml| {
                suite.iter().try_for_each(|case| case.write(xml, report.interrupted))
            })?;
        }
        Ok(())
    })?;
    Ok(())
}

fn counted(cases: &[Case<'_>]) -> TestCounts {
    TestCounts::of(cases.iter().map(|case| case.tested))
}

fn attributes(counts: &TestCounts, took: Duration) -> [(&'static str, String); 5] {
    [
        ("tests", counts.total.to_string()),
        ("failures", (counts.failed + counts.timed_out).to_string()),
        ("errors", counts.not_run.to_string()),
        ("skipped", "0".to_owned()),
        ("time", seconds(took)),
    ]
}

fn pair<'a>((name, value): &'a (&'static str, String)) -> (&'a str, &'a str) {
    (name, value)
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

impl Case<'_> {
    /// The time that it took in this run: none, where it was not run.
    fn took(&self) -> Duration {
        match self.tested {
            Some(tested) if tested.outcome != Outcome::Cached => {
                tested.attempts.iter().map(|attempt| attempt.took).sum()
            }
            _ => Duration::ZERO,
        }
    }

    fn write(&self, xml: &mut Xml, interrupted: bool) -> io::Result<()> {
        let time = seconds(self.took());
        let attributes = [("name", self.name), ("classname", self.package), ("time", &time)];
        let case = xml.create_element("testcase").with_attributes(attributes);
        case.write_inner_content(|xml| match self.tested {
            None => {
                let why = match interrupted {
                    true => "it was not run: the run was interrupted",
                    false => "it was not run: what it needs is not built",
                };
                xml.create_element("error").with_attribute(("message", why)).write_empty()?;
                Ok(())
            }
            Some(tested) => results(xml, tested),
        })?;
        Ok(())
    }
}

/// What there is to say of a test that was run: how it failed, how it had failed before, what it printed.
fn results(xml: &mut Xml, tested: &Tested) -> io::Result<()> {
    if tested.outcome == Outcome::Cached {
        let property = |xml: &mut Xml| {
            let attributes = [("name", "larder.cached"), ("value", "true")];
            xml.create_element("property").with_attributes(attributes).write_empty()?;
            Ok(())
        };
        xml.create_element("properties").write_inner_content(property)?;
    }
    let last = tested.last();
    if last.failure.is_some() {
        failure(xml, "failure", last)?;
    }
    let before = &tested.attempts[..tested.attempts.len().saturating_sub(1)];
    let again = if tested.outcome == Outcome::Flaky { "flakyFailure" } else { "rerunFailure" };
    before.iter().try_for_each(|attempt| failure(xml, again, attempt))?;
    if !last.output.is_empty() {
        let output = text(&last.output);
        xml.create_element("system-out").write_text_content(BytesText::new(&output))?;
    }
    Ok(())
}

fn failure(xml: &mut Xml, element: &str, attempt: &Attempt) -> io::Result<()> {
    let message = text(attempt.failure.as_deref().unwrap_or_default());
    let kind = if attempt.timed_out { "timeout" } else { "failure" };
    let time = seconds(attempt.took);
    let mut attributes = vec![("message", &*message), ("type", kind)];
    // The last attempt's is the test's own.
    if element != "failure" {
        attributes.push(("time", &time));
    }
    let output = text(&attempt.output);
    let element = xml.create_element(element).with_attributes(attributes);
    element.write_text_content(BytesText::new(&output))?;
    Ok(())
}

/// A text without what XML has no way to say: colours are left out, other control characters shown as
/// replaced.
fn text(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    plain.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}
