//! Diagnostics as SARIF 2.1.0, which code hosts and editors read.

use std::{collections::BTreeMap, path::Path};

use larder_trace::Level;
use serde_json::{Value, json};

use super::{Finding, annotations::message, from_where, paths::joined};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The name of the root package's directory in a log.
const ROOT: &str = "ROOT";

/// Returns the log of a build that `succeeded` or not. Files of diagnostics are seen from `here`; in the log
/// those below `root` are relative to it. The same findings give the same log.
pub fn log(findings: &[Finding], here: &Path, root: &Path, succeeded: bool) -> Value {
    let options = findings.iter().filter_map(|finding| finding.diagnostic.option.as_deref());
    let mut rules: BTreeMap<&str, usize> = options.map(|option| (option, 0)).collect();
    rules.values_mut().enumerate().for_each(|(index, at)| *at = index);
    let result = |finding: &Finding| {
        let mut result = json!({
            "level": if finding.level == Level::Error { "error" } else { "warning" },
            "message": { "text": message(finding) },
        });
        if let Some(option) = &finding.diagnostic.option {
            result["ruleId"] = option.as_str().into();
            result["ruleIndex"] = rules[option.as_str()].into();
        }
        if let Some(location) = location(finding, here, root) {
            result["locations"] = json!([location]);
        }
        result
    };
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "larder",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.keys().map(|id| json!({ "id": id })).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": succeeded }],
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// Where a diagnostic is; nowhere, where no tool said.
fn location(finding: &Finding, here: &Path, root: &Path) -> Option<Value> {
    let diagnostic = &finding.diagnostic;
    let file = diagnostic.file.as_ref().or(diagnostic.object.as_ref())?;
    let mut location = json!({ "artifactLocation": artifact(&joined(here, file), root) });
    if diagnostic.file.is_some()
        && let Some(line) = diagnostic.line.filter(|line| *line > 0)
    {
        location["region"] = json!({ "startLine": line });
        if let Some(column) = diagnostic.column.filter(|column| *column > 0) {
            location["region"]["startColumn"] = column.into();
        }
    }
    let mut place = json!({ "physicalLocation": location });
    if let Some(function) = &diagnostic.function {
        place["logicalLocations"] = json!([{ "name": function, "kind": "function" }]);
    }
    Some(place)
}

/// A file as a URI: relative to the root package where it is in there.
fn artifact(file: &Path, root: &Path) -> Value {
    match file.starts_with(root) {
        true => json!({ "uri": encoded(&from_where(file, root)), "uriBaseId": ROOT }),
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
