//! `[profile.NAME]`: arguments that whoever builds asks for together, by a name.

use std::collections::BTreeMap;

use super::keys::{self, Keys};
use crate::{
    diagnostic::{Located, suggest},
    name::is_name,
    table::{Errors, Fields},
};

/// The profiles of a package, by name.
#[derive(Debug, Clone, Default)]
pub struct Profiles(BTreeMap<String, Profile>);

/// A profile as it is written.
#[derive(Debug, Clone)]
struct Profile {
    /// The profile that it adds to.
    inherits: Option<Located<String>>,
    keys: Keys,
}

/// What a profile comes to, with all that it inherits.
#[derive(Debug, Clone, Default)]
pub(super) struct Profiled {
    pub keys: Keys,
    /// The profile and those that it inherits from, by name.
    pub names: Vec<String>,
}

/// A profile that needs no manifest: what compilers and linkers are given.
type BuiltIn = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The profiles that are there by convention.
const BUILT_IN: &[BuiltIn] = &[
    ("debug", &["-g", "-O0"], &[]),
    ("release", &["-O2", "-DNDEBUG"], &[]),
    (
        "asan",
        &["-fsanitize=address", "-g", "-O1", "-fno-omit-frame-pointer"],
        &["-fsanitize=address"],
    ),
    (
        "ubsan",
        &["-fsanitize=undefined", "-g", "-O1", "-fno-omit-frame-pointer"],
        &["-fsanitize=undefined"],
    ),
    (
        "tsan",
        &["-fsanitize=thread", "-g", "-O1", "-fno-omit-frame-pointer"],
        &["-fsanitize=thread"],
    ),
];

fn built_in(name: &str) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|(known, ..)| *known == name)
}

impl Profiles {
    /// Whether the package says itself what the profile is.
    pub(super) fn define(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All names of profiles, those of the package first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.0.keys().map(String::as_str);
        own.chain(BUILT_IN.iter().map(|(name, ..)| *name).filter(|name| !self.define(name)))
    }

    /// The advice for a name that no profile has.
    pub(crate) fn advice(&self, name: &str) -> String {
        match suggest(name, self.names()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => {
                let all: Vec<&str> = self.names().collect();
                let all = all.join(", ");
                match is_name(name) {
                    true => format!("the profiles are {all}; [profile.{name}] would be another"),
                    false => format!("the profiles are {all}"),
                }
            }
        }
    }

    /// Returns what a profile comes to; nothing for one that is not there.
    pub(super) fn resolve(&self, name: &str) -> Profiled {
        // A profile that inherits from its own name adds to the one that is there by convention.
        let mut chain = Vec::new();
        let mut next = Some(name);
        let mut found = Profiled::default();
        while let Some(name) = next.take() {
            match self.0.get(name).filter(|_| !found.names.iter().any(|seen| seen == name)) {
                Some(profile) => {
                    chain.push(profile.keys.clone());
                    next = profile.inherits.as_deref().map(String::as_str);
                }
                None => chain.extend(
                    built_in(name).map(|(_, compile, link)| Keys::of_arguments(compile, link)),
                ),
            }
            found.names.push(name.to_owned());
        }
        chain.into_iter().rev().for_each(|keys| found.keys.append(keys));
        found
    }

    /// Returns all that any profile says.
    pub(super) fn all(&self) -> Profiled {
        let mut all = Profiled::default();
        self.0.values().for_each(|profile| all.keys.append(profile.keys.clone()));
        all
    }

    /// Says which profiles inherit from what is not there, or from each other.
    fn check(&self, errors: &mut Errors<'_>) {
        for (name, profile) in &self.0 {
            let Some(inherits) = &profile.inherits else { continue };
            let known = |name: &str| self.define(name) || built_in(name).is_some();
            if **inherits == *name && built_in(name).is_none() {
                let message = format!("profile `{name}` inherits from itself");
                let help = "no profile of that name is there by convention".to_owned();
                errors.push(inherits.span.clone(), message, Some(help));
                continue;
            }
            if !known(inherits) {
                let message = format!("there is no profile `{}` to inherit from", **inherits);
                let help = self.advice(inherits);
                errors.push(inherits.span.clone(), message, Some(help));
                continue;
            }
            let mut path = vec![name.as_str()];
            let mut next = inherits.as_str();
            while !path.contains(&next) {
                path.push(next);
                match self.0.get(next).and_then(|profile| profile.inherits.as_ref()) {
                    Some(inherits) => next = inherits.as_str(),
                    None => break,
                }
            }
            // Said once, of the first of them.
            if next == name && path.len() > 1 && path.iter().all(|other| *other >= name.as_str()) {
                path.push(name);
                let message =
                    format!("profiles inherit from each other in a cycle: {}", path.join(" -> "));
                errors.push(inherits.span.clone(), message, None);
            }
        }
    }
}

/// `[profile.NAME]`
pub(super) fn profiles(mut fields: Fields<'_, '_>) -> Profiles {
    let found = fields.for_each_table("profile", |name, mut fields| {
        fields.what = format!("profile `{}`", *name);
        if !is_name(&name) {
            let message = format!("`{}` cannot name a profile", *name);
            fields.errors.push(name.span, message, None);
            return None;
        }
        let inherits = fields.string("inherits");
        let keys = Keys::common(&mut fields);
        keys::refuse_of_targets(&mut fields);
        fields.finish();
        Some((name.value, Profile { inherits, keys }))
    });
    let profiles = Profiles(found.into_iter().collect());
    profiles.check(fields.errors);
    profiles
}
