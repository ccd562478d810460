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

    /// A text in which the secret is replaced, should a server or a library have repeated it.
    pub(crate) fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "…") }
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
}
