//! Diagnostics as SARIF 2.1.0, which code hosts and editors read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use larder_trace::Level;
use serde_json::{Value, json};

use super::{Failure, FailureKind, Finding, annotations::message, from_where, paths::joined};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The name of the directory in a log that its paths are relative to.
const BASE: &str = "%SRCROOT%";

/// GitHub takes no log with more results in one run.
const MOST: usize = 25_000;

/// Where the files of findings are.
pub struct Places<'p> {
    /// The directory that diagnostics name files from.
    pub here: &'p Path,
    /// The directory that paths in the log are relative to, where they are in it.
    pub base: &'p Path,
    /// Says where the target of a label is declared: a file and the line in it.
    pub declared: &'p dyn Fn(&str) -> Option<(PathBuf, usize)>,
}

/// Returns the log of a build that ended with this exit code. The same findings give the same log. Of more results than
/// anybody takes, warnings are left out first, and the log says how many.
pub fn log(findings: &[Finding], places: &Places<'_>, exit_code: u8) -> Value {
    let mut shown: Vec<&Finding> = findings.iter().collect();
    shown.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let left_out = shown.split_off(shown.len().min(MOST)).len();
    let mut rules: BTreeMap<String, usize> =
        shown.iter().filter_map(|finding| Some((rule(finding)?, 0))).collect();
    rules.values_mut().enumerate().for_each(|(index, at)| *at = index);
    let result = |finding: &&Finding| {
        let mut result = json!({
            "level": if finding.level == Level::Error { "error" } else { "warning" },
            "message": { "text": text(finding) },
        });
        if let Some(rule) = rule(finding) {
            result["ruleIndex"] = rules[&rule].into();
            result["ruleId"] = rule.into();
        }
        if let Some(command) = finding.failure.as_ref().and_then(|it| it.command.as_ref()) {
            result["properties"] = json!({ "command": command });
        }
        if let Some(location) = location(finding, places) {
            result["locations"] = json!([location]);
        }
        result
    };
    let mut invocation = json!({ "executionSuccessful": exit_code == 0, "exitCode": exit_code });
    if left_out > 0 {
        let text =
            format!("{left_out} further results are left out: {MOST} are the most in one log");
        let notification = json!({ "level": "warning", "message": { "text": text } });
        invocation["toolExecutionNotifications"] = json!([notification]);
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "larder",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.keys().map(|id| described(id)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [invocation],
            "results": shown.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// The rule that a finding broke: the compiler's option, or that something has to succeed.
fn rule(finding: &Finding) -> Option<String> {
    match &finding.failure {
        Some(Failure { kind: FailureKind::Step, .. }) => Some("step-failed".to_owned()),
        Some(Failure { kind: FailureKind::Test, .. }) => Some("test-failed".to_owned()),
        None => finding.diagnostic.option.clone(),
    }
}

fn described(rule: &str) -> Value {
    let text = match rule {
        "step-failed" => "A step of the build failed".to_owned(),
        "test-failed" => "A test failed".to_owned(),
        option => format!("What the compiler says for {option}"),
    };
    json!({ "id": rule, "shortDescription": { "text": text } })
}

/// The message, and of a failure the end of what was printed.
fn text(finding: &Finding) -> String {
    let message = message(finding);
    match &finding.failure {
        Some(failure) if !failure.printed.is_empty() => format!("{message}\n\n{}", failure.printed),
        _ => message,
    }
}

/// Where a finding is: in the file that a tool named, else where its target is declared.
fn location(finding: &Finding, places: &Places<'_>) -> Option<Value> {
    let diagnostic = &finding.diagnostic;
    let (file, region) = match &diagnostic.file {
        Some(file) => {
            let mut region = json!({ "startLine": diagnostic.line.unwrap_or(1).max(1) });
            if let Some(column) = diagnostic.column.filter(|column| *column > 0) {
                region["startColumn"] = column.into();
            }
            (joined(places.here, file), region)
        }
        None => {
            let (file, line) = (places.declared)(&finding.target)?;
            (file, json!({ "startLine": line }))
        }
    };
    let artifact = artifact(&file, places.base);
    let mut place =
        json!({ "physicalLocation": { "artifactLocation": artifact, "region": region } });
    if let Some(function) = &diagnostic.function {
        place["logicalLocations"] = json!([{ "name": function, "kind": "function" }]);
    }
    Some(place)
}

/// A file as a URI: relative to the directory `base` where it is in there.
fn artifact(file: &Path, base: &Path) -> Value {
    match file.starts_with(base) {
        true => json!({ "uri": encoded(&from_where(file, base)), "uriBaseId": BASE }),
        false => json!({ "uri": format!("file://{}", encoded(&file.to_string_lossy())) }),
    }
}

/// Returns a path as it stands in a URI.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte);
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match plain(byte) {
            true => uri.push(char::from(byte)),
            false => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use larder_trace::Diagnostic;

    use super::*;

    #[test]
    fn of_too_many_results_errors_stay() {
        let finding = |number: u32, level| Finding {
            level,
            diagnostic: Diagnostic {
                file: Some("a.c".to_owned()),
                line: Some(number),
                message: "m".to_owned(),
                ..Diagnostic::default()
            },
            target: "t:o".to_owned(),
            output: "t.o".to_owned(),
            steps: 1,
            failure: None,
        };
        let mut findings: Vec<Finding> =
            (0..25_010).map(|it| finding(it, Level::Warning)).collect();
        findings.push(finding(7, Level::Error));
        let here = Path::new("/w");
        let places = Places { here, base: here, declared: &|_| None };
        let log = log(&findings, &places, 1);
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), MOST);
        assert_eq!(results[0]["level"], "error");
        let told = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
        assert!(told.as_str().unwrap().starts_with("11 further results"), "{told}");
        assert_eq!(results[1]["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
    }
}
