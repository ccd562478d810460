//! Who maintains which packages.

use std::collections::BTreeMap;

use larder_runs::name::PackageName;

/// The people who maintain packages of a set.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// Addresses by package, or by package version, as the set has them.
    by_package: BTreeMap<String, Vec<String>>,
}

/// Somebody who maintains packages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// The name that stands in addresses of pages: the mail address, in letters, digits and `@._+-`.
    pub slug: String,
    /// The name that people read: without the mail address where there is another.
    pub name: String,
}

impl Person {
    /// Somebody by what a set says: `ana@example.org`, or `Ana <ana@example.org>`.
    pub fn new(text: &str) -> Self {
        let (name, address) = match text.split_once('<') {
            Some((name, rest)) => (name.trim(), rest.trim_end_matches('>').trim()),
            None => ("", text.trim()),
        };
        let plain =
            |c: char| if c.is_ascii_alphanumeric() || "@._+-".contains(c) { c } else { '-' };
        let slug: String = address.chars().map(plain).collect();
        let name = if name.is_empty() { address } else { name };
        Self { slug, name: larder_runs::sanitise::line(name) }
    }
}

impl People {
    /// Those whom a set names, by package or package version.
    pub fn new(by_package: BTreeMap<String, Vec<String>>) -> Self {
        Self { by_package }
    }

    /// Those who maintain a package version: its own, else those of its name.
    pub fn of(&self, package: &str) -> Vec<Person> {
        let name = package.parse().ok().map(|package: PackageName| package.name().to_owned());
        let own = self.by_package.get(package);
        let people = own.or_else(|| self.by_package.get(&name?));
        people.into_iter().flatten().map(|text| Person::new(text)).collect()
    }

    /// All of them, sorted.
    pub fn all(&self) -> Vec<Person> {
        let mut all: Vec<Person> =
            self.by_package.values().flatten().map(|text| Person::new(text)).collect();
        all.sort();
        all.dedup_by(|one, other| one.slug == other.slug);
        all
    }
}
