//! Whom a reader believes: which keys count for which scopes and refs.
//!
//! Whoever can write to a service can file anything under any name. What is signed says who built it:
//! a [`Statement`] of what a revision or a result is, signed in minisign's format
//! (<https://jedisct1.github.io/minisign/>, Ed25519). Without a trusted key in the configuration, everything
//! counts, signed or not; with one, only what such a key signed.

mod keys;
mod statement;

use std::collections::BTreeSet;

use fast_glob::glob_match;
use larder_store::{Ref, Scope, published::Signature};
use serde::{Deserialize, Serialize};

pub use self::{
    keys::{KeyError, KeyId, PublicKey, SigningKey},
    statement::Statement,
};

/// One `[[cache.trust]]` table: a key, and what it counts for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrustedKey {
    /// Who has it.
    pub name: String,
    /// The public key, as minisign writes it.
    pub key: PublicKey,
    /// Globs of the scopes that it counts for; all, when absent.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Globs of the refs that it counts for; all, and none named, when absent.
    #[serde(default)]
    pub refs: Option<Vec<String>>,
    /// Whether it counts for results of CI, which are in no scope; when absent, if it counts for all
    /// scopes.
    #[serde(default)]
    pub results: Option<bool>,
}

/// Who signed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The name that the reader's configuration gives the key.
    pub name: String,
    /// The key.
    pub key: KeyId,
    /// The ref that was built.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Ref>,
}

/// Why something is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Nobody signed it.
    #[error("it is not signed")]
    Unsigned,
    /// It was signed by a key that is not in the configuration.
    #[error("it is signed by key {0}, which is not trusted here")]
    Foreign(KeyId),
    /// The key was revoked here.
    #[error("it is signed by key {0}, which was revoked here")]
    Revoked(KeyId),
    /// The key does not count for that.
    #[error("it is signed by {name}, whose key does not count for {what}")]
    NotFor {
        /// The name of the key.
        name: String,
        /// The scope or ref.
        what: String,
    },
    /// Another ref was asked for.
    #[error("it was built from {0}, and not from the ref that was asked for")]
    OtherRef(String),
    /// The signature is not of this.
    #[error("its signature is of something else, or damaged")]
    Forged,
}

/// A reader's trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    keys: Vec<TrustedKey>,
    revoked: BTreeSet<KeyId>,
    reference: Option<Ref>,
}

impl Trust {
    /// Trust in `keys` but those that are `revoked`.
    pub fn new(keys: Vec<TrustedKey>, revoked: BTreeSet<KeyId>) -> Self {
        Self { keys, revoked, reference: None }
    }

    /// The same trust, only in what was built from `reference`.
    #[must_use]
    pub fn for_ref(&self, reference: Option<Ref>) -> Self {
        Self { reference, ..self.clone() }
    }

    /// Whether everything is believed.
    pub fn is_blind(&self) -> bool {
        self.keys.is_empty()
    }

    /// The trusted key with this name, id or public key.
    pub fn find(&self, key: &str) -> Option<KeyId> {
        let named = |trusted: &&TrustedKey| trusted.name == key || trusted.key.to_string() == key;
        let trusted = self.keys.iter().find(named).map(|trusted| trusted.key.id());
        trusted.or_else(|| key.parse().ok())
    }

    /// Whether `statement` counts, which `signature` is said to be of; and who made it, where that is
    /// asked at all.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn check(
        &self,
        statement: &Statement<'_>,
        signature: Option<&Signature>,
    ) -> Result<Option<Signer>, Distrust> {
        if let Some(key) = signature.and_then(KeyId::of_signature)
            && self.revoked.contains(&key)
        {
            return Err(Distrust::Revoked(key));
        }
        if self.is_blind() {
            return Ok(None);
        }
        let signature = signature.ok_or(Distrust::Unsigned)?;
        let key = KeyId::of_signature(signature).ok_or(Distrust::Forged)?;
        let reference = signature.reference.as_ref();
        let mut distrust = Distrust::Foreign(key);
        // A key may count for several things, each in a table of its own.
        for trusted in self.keys.iter().filter(|trusted| trusted.key.id() == key) {
            if !trusted.key.verifies(&statement.text(reference), &signature.minisign) {
                distrust = Distrust::Forged;
                continue;
            }
            match trusted.counts_for(statement.scope(), reference) {
                Ok(()) => {
                    self.check_ref(reference)?;
                    let (name, reference) = (trusted.name.clone(), reference.cloned());
                    return Ok(Some(Signer { name, key, reference }));
                }
                Err(error) => distrust = error,
            }
        }
        Err(distrust)
    }

    fn check_ref(&self, reference: Option<&Ref>) -> Result<(), Distrust> {
        match (&self.reference, reference) {
            (Some(asked), Some(built)) if asked != built => {
                Err(Distrust::OtherRef(built.to_string()))
            }
            (Some(_), None) => Err(Distrust::OtherRef("no ref that is named".to_owned())),
            _ => Ok(()),
        }
    }
}

impl TrustedKey {
    fn counts_for(&self, scope: Option<&Scope>, reference: Option<&Ref>) -> Result<(), Distrust> {
        let not_for = |what: String| Distrust::NotFor { name: self.name.clone(), what };
        let matches = |globs: &[String], name: &str| globs.iter().any(|it| glob_match(it, name));
        match (&self.scopes, scope) {
            (Some(globs), Some(scope)) if !matches(globs, scope.as_str()) => {
                return Err(not_for(format!("scope {scope}")));
            }
            (scopes, None) if !self.results.unwrap_or(scopes.is_none()) => {
                return Err(not_for("results".to_owned()));
            }
            _ => {}
        }
        match (&self.refs, reference) {
            (Some(globs), Some(reference)) if !matches(globs, reference.as_str()) => {
                Err(not_for(format!("ref {reference}")))
            }
            (Some(_), None) => Err(not_for("what names no ref".to_owned())),
            _ => Ok(()),
        }
    }
}
