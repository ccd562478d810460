//! Diagnostics as annotations: commands in what a CI job prints, which its service shows beside the code.

use std::path::Path;

use larder_trace::Level;

use super::{Finding, paths::from_where};

/// Returns a diagnostic as a workflow command of GitHub: `::warning file=src/a.c,line=3,col=5::unused variable`.
/// Its file is seen from `repository`, where it is in there; as found in a diagnostic, it is seen from `here`.
pub fn github(finding: &Finding, here: &Path, repository: &Path) -> String {
    let Finding { level, diagnostic, target, .. } = finding;
    let mut properties = Vec::new();
    if let Some(file) = &diagnostic.file {
        let absolute = super::paths::joined(here, file);
        let inside = absolute.starts_with(repository);
        let file = if inside { from_where(&absolute, repository) } else { file.clone() };
        properties.push(format!("file={}", property(&file)));
        properties.extend(diagnostic.line.map(|line| format!("line={line}")));
        properties.extend(diagnostic.column.map(|column| format!("col={column}")));
    }
    let title = diagnostic.option.as_ref().unwrap_or(target);
    properties.push(format!("title={}", property(title)));
    let level = if *level == Level::Error { "error" } else { "warning" };
    format!("::{level} {}::{}", properties.join(","), data(&message(finding)))
}

/// Returns the message with the object and the function that a linker found it in.
pub(super) fn message(finding: &Finding) -> String {
    let diagnostic = &finding.diagnostic;
    let place = match (&diagnostic.object, &diagnostic.function) {
        (Some(object), Some(function)) => format!("{object}: in {function}: "),
        (Some(object), None) if diagnostic.file.is_none() => format!("{object}: "),
        _ => String::new(),
    };
    format!("{place}{}", diagnostic.message)
}

/// Escapes what would end a line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes what would end a property, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use larder_trace::Diagnostic;

    use super::*;

    #[test]
    fn nothing_ends_a_command_early() {
        let diagnostic = Diagnostic {
            file: Some("a,b:c%.c".to_owned()),
            line: Some(3),
            message: "50% of\n::error::x".to_owned(),
            ..Diagnostic::default()
        };
        let finding = Finding {
            level: Level::Warning,
            diagnostic,
            target: "t:o".to_owned(),
            output: "t.o".to_owned(),
            steps: 1,
            failure: None,
        };
        assert_eq!(
            github(&finding, Path::new("/r/p"), Path::new("/r")),
            "::warning file=p/a%2Cb%3Ac%25.c,line=3,title=t%3Ao::50%25 of%0A::error::x"
        );
        assert_eq!(
            github(&finding, Path::new("/r/p"), Path::new("/elsewhere")),
            "::warning file=a%2Cb%3Ac%25.c,line=3,title=t%3Ao::50%25 of%0A::error::x"
        );
    }
}
