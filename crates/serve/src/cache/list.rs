//! What there is, in the order of S3, a page at a time.

use std::io;

use super::{directory::Directory, names::Name, record::Record};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// How names begin.
    pub prefix: String,
    /// What ends the names of groups; none where this is empty.
    pub delimiter: String,
    /// Names and groups up to this one are left out.
    pub after: String,
    /// How many names and groups there are on a page.
    pub most: usize,
}

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// Objects.
    pub objects: Vec<(String, Record)>,
    /// Groups: beginnings of names, up to a delimiter.
    pub groups: Vec<String>,
    /// The last name or group of the page, where another follows.
    pub next: Option<String>,
}

/// Returns a page of what is in `directory`.
pub fn list(directory: &Directory, query: &Query) -> io::Result<Page> {
    let mut lister = Lister { directory, query, page: Page::default(), last: None, is_full: false };
    if query.most > 0 {
        lister.descend("")?;
    }
    if lister.is_full {
        lister.page.next = lister.last;
    }
    Ok(lister.page)
}

struct Lister<'a> {
    directory: &'a Directory,
    query: &'a Query,
    page: Page,
    last: Option<String>,
    /// Whether there is more than fits on the page.
    is_full: bool,
}

impl Lister<'_> {
    fn descend(&mut self, directory: &str) -> io::Result<()> {
        let Query { prefix, after, .. } = self.query;
        for path in self.directory.names_in(directory)? {
            if self.is_full {
                break;
            }
            if let Some(group) = self.group_of(&path) {
                if self.is_new(&group) && self.holds_object(&path)? {
                    self.add(group, None);
                }
            } else if path.ends_with('/') {
                let is_wanted = path.starts_with(prefix) || prefix.starts_with(&path);
                // All that is in there comes before it.
                let is_past = *after > path && !after.starts_with(&path);
                if is_wanted && !is_past {
                    self.descend(&path)?;
                }
            } else if path.starts_with(prefix)
                && self.is_new(&path)
                && let Ok(name) = Name::parse(&path)
                && let Some(found) = self.directory.find(&name)?
            {
                self.add(path, Some(found.record));
            }
        }
        Ok(())
    }

    /// The group that an object, or all in a directory, belongs to.
    fn group_of(&self, path: &str) -> Option<String> {
        let Query { prefix, delimiter, .. } = self.query;
        let rest = path.strip_prefix(prefix.as_str())?;
        let at = (!delimiter.is_empty()).then(|| rest.find(delimiter.as_str()))??;
        Some(path[..prefix.len() + at + delimiter.len()].to_owned())
    }

    fn is_new(&self, name: &str) -> bool {
        name > self.query.after.as_str() && self.last.as_deref() != Some(name)
    }

    fn holds_object(&self, path: &str) -> io::Result<bool> {
        if !path.ends_with('/') {
            return Ok(true);
        }
        for path in self.directory.names_in(path)? {
            if self.holds_object(&path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add(&mut self, name: String, record: Option<Record>) {
        if self.page.objects.len() + self.page.groups.len() == self.query.most {
            self.is_full = true;
            return;
        }
        self.last = Some(name.clone());
        match record {
            Some(record) => self.page.objects.push((name, record)),
            None => self.page.groups.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::directory::Condition;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// What S3 says: names in order, grouped.
    fn expected(names: &BTreeSet<String>, query: &Query) -> Vec<String> {
        let mut all = Vec::new();
        for name in names.iter().filter(|name| name.starts_with(&query.prefix)) {
            let rest = &name[query.prefix.len()..];
            let at = rest.find(&query.delimiter).filter(|_| !query.delimiter.is_empty());
            let end = at.map_or(name.len(), |at| query.prefix.len() + at + query.delimiter.len());
            let shown = name[..end].to_owned();
            if shown > query.after && all.last() != Some(&shown) {
                all.push(shown);
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pages_are_what_s3_says(
            names in proptest::collection::btree_set("[ab0-]{1,2}(/[ab.-]{1,2}){0,2}", 1..12),
            prefix in "|[ab]|[ab]/|[ab]/[ab]|b-",
            delimiter in "|/|-|b",
            after in "|[ab]{1,2}|[ab]/|[ab]/[ab]",
            most in 1usize..5,
        ) {
            let names: BTreeSet<String> = names.into_iter().filter(|name| Name::parse(name).is_ok()).collect();
            let root = tempfile::tempdir().unwrap();
            let directory = Directory::open(root.path()).unwrap();
            for name in &names {
                let incoming = directory.incoming().unwrap();
                directory.commit(&Name::parse(name).unwrap(), incoming, &Record::default(), &Condition::None, || true).unwrap();
            }
            let mut query = Query { prefix, delimiter, after, most };
            let wanted = expected(&names, &query);
            let mut found = Vec::new();
            loop {
                let page = list(&directory, &query).unwrap();
                let mut shown: Vec<String> = page.objects.into_iter().map(|(name, _)| name).chain(page.groups).collect();
                shown.sort();
                prop_assert!(shown.len() <= most);
                found.extend(shown);
                match page.next {
                    Some(next) => query.after = next,
                    None => break,
                }
            }
            prop_assert_eq!(found, wanted);
        }
    }
}
