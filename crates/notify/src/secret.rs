//! Secrets: where they come from, and that they go nowhere but to their server.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::http::chain;

/// A secret. It is not printed by `Debug` and has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret that the caller has from a safe place.
    pub fn new(secret: impl Into<String>) -> Secret {
        Secret(secret.into())
    }

    /// The secret itself, for its server.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// A text without the secret and without any part of it that could be one: a server or a library may
    /// have repeated it, cut it short, encoded it, or named the path of a URL that is the secret.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let parts = self.parts();
        let mut scrubbed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = parts.iter().map(|part| common(part, rest)).max().unwrap_or(0);
            match length {
                0 => scrubbed.push(first),
                _ if scrubbed.ends_with('…') => {}
                _ => scrubbed.push('…'),
            }
            rest = rest.get(length.max(first.len_utf8())..).unwrap_or_default();
        }
        scrubbed
    }

    /// The part of the secret that nobody may see: of a URL not the server's name and the words that every such URL has.
    fn parts(&self) -> Vec<String> {
        const KNOWN: [&str; 8] =
            ["services", "workflows", "triggers", "hooks", "webhook", "webhooks", "api", "bot"];
        let mut parts = match self.0.split_once("://") {
            Some((_, url)) => {
                let (login, path) = url.split_once('/').unwrap_or((url, ""));
                let login = login.rsplit_once('@').map_or("", |(login, _)| login);
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                let values = query
                    .split(['&', '#'])
                    .map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
                let words = login.split(':').chain(path.split('/')).chain(values);
                words.filter(|word| !KNOWN.contains(word)).map(str::to_owned).collect()
            }
            None => vec![self.0.clone()],
        };
        parts.retain(|part| !part.is_empty());
        let encoded = parts.iter().map(|part| percent_encoded(part)).collect::<Vec<_>>();
        parts.extend(encoded);
        parts
    }

    /// The secret of a channel: from the environment variable, else from the file, which only its owner
    /// may be able to read (mode 600 or stricter).
    pub(crate) fn find(
        channel: &'static str,
        variable: &str,
        file: Option<&Path>,
    ) -> Result<Secret> {
        if let Some(value) = env::var_os(variable).filter(|value| !value.is_empty()) {
            let wrong = || Error::Config { channel, reason: format!("${variable} is not text") };
            return value.into_string().map(Secret).map_err(|_| wrong());
        }
        match file {
            Some(file) => Secret::read(channel, file),
            None => Err(Error::Config {
                channel,
                reason: format!(
                    "no secret: set ${variable}, or `secret-file` to a file of mode 600"
                ),
            }),
        }
    }

    fn read(channel: &'static str, path: &Path) -> Result<Secret> {
        let wrong = |reason: String| Error::Config { channel, reason };
        let unreadable = |error: std::io::Error| {
            wrong(format!("cannot read {}: {}", path.display(), chain(&error)))
        };
        // Looked at before it is opened, because opening a pipe waits; what counts is what was opened.
        let regular = fs::metadata(path).map_err(unreadable)?.is_file();
        let file = regular.then(|| File::open(path)).transpose().map_err(unreadable)?;
        let Some(file) = file else {
            return Err(wrong(format!("{} is not a regular file", path.display())));
        };
        let meta = file.metadata().map_err(unreadable)?;
        if meta.mode() & 0o077 != 0 {
            let mode = meta.mode() & 0o777;
            return Err(wrong(format!(
                "others may read the secret in {} (mode {mode:03o}): chmod 600 it",
                path.display()
            )));
        }
        let mut text = String::new();
        let read = file.take(64 * 1024).read_to_string(&mut text);
        read.map_err(unreadable)?;
        match text.trim() {
            "" => Err(wrong(format!("{} is empty", path.display()))),
            secret => Ok(Secret(secret.to_owned())),
        }
    }
}

/// The shortest piece of a secret that tells something of it, in bytes.
const TELLING: usize = 5;

/// How much of the beginning of `text` is a piece of `part`, in bytes; 0 when that is too short to tell.
fn common(part: &str, text: &str) -> usize {
    let shortest = TELLING.min(part.len());
    let piece = |start: usize| {
        let rest = part.get(start..).unwrap_or_default();
        rest.chars().zip(text.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let longest = part.char_indices().map(|(start, _)| piece(start)).max().unwrap_or(0);
    // A whole part that is very short is only a part if it stands alone, such as `T0` in a path.
    let alone = !text.get(longest..).unwrap_or_default().starts_with(|c: char| c.is_alphanumeric());
    if longest >= TELLING || (longest == part.len() && longest >= shortest.max(2) && alone) {
        longest
    } else {
        0
    }
}

/// A text as it stands in the path of a URL.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(byte.into())
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_file_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "s3cret\n").unwrap();
        for mode in [0o644, 0o640, 0o604] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error =
                Secret::find("zulip", "LARDER_TEST_UNSET", Some(&path)).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && !error.contains("s3cret"), "{error}");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let secret = Secret::find("zulip", "LARDER_TEST_UNSET", Some(&path)).unwrap();
            assert_eq!(secret.reveal(), "s3cret");
            assert_eq!(format!("{secret:?}"), "Secret(…)");
        }
        let error = Secret::find("zulip", "LARDER_TEST_UNSET", None).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"zulip: no secret: set $LARDER_TEST_UNSET, or `secret-file` to a file of mode 600");
        assert!(Secret::find("zulip", "LARDER_TEST_UNSET", Some(dir.path())).is_err());
    }

    #[test]
    fn no_part_of_a_secret_is_shown() {
        let webhook = Secret::new(
            "https://hooks.example.com/services/T012AB/B0/sEcRetToKen42?key=a%20b%2Fc-d",
        );
        for (text, scrubbed) in [
            (
                "no route to hooks.example.com: services are down",
                "no route to hooks.example.com: services are down",
            ),
            (
                "https://hooks.example.com/services/T012AB/B0/sEcRetToKen42",
                "https://hooks.example.com/services/…/…/…",
            ),
            ("invalid token sEcRetTo...", "invalid token …..."),
            ("token ends in Ken42", "token ends in …"),
            ("POST /services/T012AB/B0", "POST /services/…/…"),
            ("503 Service Unavailable", "503 Service Unavailable"),
            ("key a%20b%2Fc-d", "key …"),
        ] {
            assert_eq!(webhook.scrub(text), scrubbed);
        }
        let token = Secret::new("123456:AAé-token/x");
        assert_eq!(token.scrub("/bot123456:AA%C3%A9-token%2Fx/send"), "/bot…/send");
        assert_eq!(token.scrub("error 1234, é"), "error 1234, é");
        assert_eq!(Secret::new("").scrub("text"), "text");
        assert_eq!(Secret::new("pw").scrub("pw and pwd"), "… and pwd");
    }
}
