//! Credentials: taken from environment variables, which the caller hands in, and never shown.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

use crate::{KeyError, SigningKey};

/// A key as `LARDER_CACHE_KEY` has it: `id:secret`, or for a plain HTTP server `user:password`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The S3 access key id, the Azure account, or the user.
    pub id: String,
    /// The secret that goes with it. Never printed.
    pub secret: String,
}

/// A key that has no colon, or a token that cannot be one. Says nothing of what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedKey;

impl Key {
    fn parse(value: &str) -> Result<Self, MalformedKey> {
        match value.split_once(':') {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
                Ok(Self { id: id.to_owned(), secret: secret.to_owned() })
            }
            _ => Err(MalformedKey),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The keys and tokens of services, and the variables that their providers' own tools read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    signing_key: Option<String>,
    signing_password: Option<String>,
    own: Secrets,
    /// Those that are for one service, by the ending of the variable.
    named: BTreeMap<String, Secrets>,
    /// The variable to set for a service that those of no name are kept from.
    withheld: Option<String>,
    variables: Vec<(String, String)>,
}

/// The secrets for one service.
#[derive(Clone, Default, PartialEq, Eq)]
struct Secrets {
    key: Option<Result<Key, MalformedKey>>,
    token: Option<Result<String, MalformedKey>>,
}

/// The variables that providers read: all whose names begin so.
const PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// Variables that providers read under other names.
const OTHERS: [&str; 2] = ["SERVICE_ACCOUNT", "IDENTITY_ENDPOINT"];

const KEY: &str = "LARDER_CACHE_KEY";
const TOKEN: &str = "LARDER_CACHE_TOKEN";

impl Credentials {
    /// The credentials in an environment: `LARDER_CACHE_KEY`, `LARDER_CACHE_TOKEN`, both also with
    /// `_` and a service's name, and the providers' own variables. A malformed one is found out when a
    /// service is opened, since most commands open none.
    pub fn of<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<OsStr>,
        V: Into<OsString>,
    {
        let mut credentials = Self::default();
        for (name, value) in variables {
            let Some(name) = name.as_ref().to_str() else { continue };
            let value = value.into().into_string();
            if let Some(place) = match name {
                "LARDER_SIGNING_KEY" => Some(&mut credentials.signing_key),
                "LARDER_SIGNING_PASSWORD" => Some(&mut credentials.signing_password),
                _ => None,
            } {
                // What is not text is no key either, and is found out to be none where it is needed.
                *place = Some(value.unwrap_or_default()).filter(|value| !value.is_empty());
            } else if let Some(ending) = name.strip_prefix(KEY) {
                if let Some(secrets) = credentials.secrets(ending) {
                    secrets.key = parsed(value, Key::parse);
                }
            } else if let Some(ending) = name.strip_prefix(TOKEN) {
                if let Some(secrets) = credentials.secrets(ending) {
                    secrets.token = parsed(value, token);
                }
            } else if let Ok(value) = value
                && (OTHERS.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p)))
            {
                credentials.variables.push((name.to_owned(), value));
            }
        }
        credentials
    }

    /// Where the secrets of variables with such an ending are.
    fn secrets(&mut self, ending: &str) -> Option<&mut Secrets> {
        if ending.is_empty() {
            return Some(&mut self.own);
        }
        let name = ending.strip_prefix('_').filter(|name| !name.is_empty())?;
        Some(self.named.entry(name.to_owned()).or_default())
    }

    /// Those for the service called `name`: of its name, else, where it shares them, of no name.
    pub(crate) fn of_service(&self, name: &str, shares: bool) -> Self {
        let ending = ending(name);
        let (own, withheld) = match self.named.get(&ending) {
            Some(named) => (named.clone(), None),
            None if shares || self.own == Secrets::default() => (self.own.clone(), None),
            None => (Secrets::default(), Some(format!("{KEY}_{ending}"))),
        };
        Self { own, named: BTreeMap::new(), withheld, ..self.clone() }
    }

    /// The variable to set for a service that those of no name are kept from, as they may be another's.
    pub(crate) fn withheld(&self) -> Option<&str> {
        self.withheld.as_deref()
    }

    /// The key, if there is one.
    pub(crate) fn key(&self) -> Result<Option<&Key>, MalformedKey> {
        self.own.key.as_ref().map(|key| key.as_ref().map_err(MalformedKey::clone)).transpose()
    }

    /// Returns the bearer token, if there is one.
    ///
    /// # Errors
    /// When it cannot be in a header.
    pub fn token(&self) -> Result<Option<&str>, MalformedKey> {
        let token = self.own.token.as_ref();
        token.map(|token| token.as_deref().map_err(MalformedKey::clone)).transpose()
    }

    /// The key that uploads are signed with, if there is one.
    ///
    /// # Errors
    /// When it is no key, or the password is wrong.
    pub fn signing_key(&self) -> Result<Option<SigningKey>, KeyError> {
        let key = self.signing_key.as_deref();
        key.map(|key| SigningKey::parse(key, self.signing_password.as_deref())).transpose()
    }

    /// The variables whose names begin with `prefix`, with their names in lower case, as settings of
    /// providers are called.
    pub(crate) fn settings(&self, prefix: &'static str) -> impl Iterator<Item = (String, &str)> {
        let mine = self.variables.iter().filter(move |(name, _)| name.starts_with(prefix));
        mine.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }

    /// The value of one of the variables.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// How variables for the service called `name` end, after `_`.
fn ending(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(upper).collect()
}

/// The value of a variable; an empty one is as good as none.
fn parsed<T>(
    value: Result<String, OsString>,
    parse: impl Fn(&str) -> Result<T, MalformedKey>,
) -> Option<Result<T, MalformedKey>> {
    match value.as_deref().map(str::trim) {
        Ok("") => None,
        Ok(value) => Some(parse(value)),
        Err(_) => Some(Err(MalformedKey)),
    }
}

/// A token as it may stand in a header.
fn token(value: &str) -> Result<String, MalformedKey> {
    let good = value.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| value.to_owned()).ok_or(MalformedKey)
}

impl From<Key> for Credentials {
    fn from(key: Key) -> Self {
        let own = Secrets { key: Some(Ok(key)), token: None };
        Self { own, ..Self::default() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::parse("AKIDEXAMPLE:wJalr:secret").unwrap();
        assert_eq!((key.id.as_str(), key.secret.as_str()), ("AKIDEXAMPLE", "wJalr:secret"));
        assert_eq!(
            format!("{key:?} {:?}", Credentials::from(key.clone())),
            "Key(…) Credentials(…)"
        );
        for bad in ["", "id", ":secret", "id:"] {
            assert_eq!(Key::parse(bad).err(), Some(MalformedKey));
        }
    }

    #[test]
    fn credentials_are_those_variables_that_services_read() {
        let key = |value: &OsStr| Credentials::of([("LARDER_CACHE_KEY", value)]);
        assert_eq!(key(OsStr::new("")).key(), Ok(None));
        assert_eq!(key(OsStr::new(" id:secret\n")).key().unwrap().unwrap().secret, "secret");
        assert_eq!(key(OsStr::from_bytes(b"id:\xff")).key(), Err(MalformedKey));
        let token = |value: &OsStr| Credentials::of([("LARDER_CACHE_TOKEN", value)]);
        assert_eq!(token(OsStr::new("abc.def\n")).token(), Ok(Some("abc.def")));
        assert_eq!(token(OsStr::new("a b")).token(), Err(MalformedKey));
        assert_eq!(token(OsStr::from_bytes(b"\xff")).token(), Err(MalformedKey));
        let found = Credentials::of([
            ("AWS_REGION", "eu-west-1"),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1"),
            ("PATH", "/bin"),
        ]);
        let aws: Vec<_> = found.settings("AWS_").collect();
        assert_eq!(aws, [("aws_region".to_owned(), "eu-west-1")]);
        assert_eq!(found.variable("IDENTITY_ENDPOINT"), Some("http://127.0.0.1"));
        assert_eq!(found.variable("PATH"), None);
    }
}
