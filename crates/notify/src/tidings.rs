//! The part of the news that one recipient has not heard yet.

use std::collections::BTreeSet;

use crate::news::{Failure, News, Subject};
use crate::told::{Heard, Said};

/// The news for one recipient.
#[derive(Debug)]
pub struct Tidings<'a> {
    pub(crate) news: &'a News,
    /// Failures that were not known, roots first, then those that are blocked.
    pub(crate) broken: Vec<&'a Failure>,
    /// Subjects that work again, each with the root failure that had blocked it.
    pub(crate) mended: Vec<(&'a Subject, Option<String>)>,
    pub(crate) new: Vec<&'a str>,
    pub(crate) gone: Vec<&'a str>,
}

impl<'a> Tidings<'a> {
    /// Everything that changed, for somebody who has heard nothing.
    pub fn all(news: &'a News) -> Tidings<'a> {
        Tidings::unheard(news, None, |_| true)
    }

    /// The news that somebody who `heard` this has not heard yet of the packages that `concerns` names. Whoever hears
    /// for the first time hears what changed lately, and not what has been failing for years.
    pub(crate) fn unheard(
        news: &'a News,
        heard: Option<&Heard>,
        concerns: impl Fn(&str) -> bool,
    ) -> Tidings<'a> {
        let said = |key: &str| heard.and_then(|heard| heard.said.get(key));
        let mut broken: Vec<&Failure> = news
            .failing
            .iter()
            .filter(|failure| concerns(&failure.subject.package))
            .filter(|failure| match said(&failure.subject.to_string()) {
                Some(Said::Failing { since, .. }) => *since != failure.since,
                _ => heard.is_some() || news.broken.contains(&failure.subject),
            })
            .collect();
        broken.sort_by_key(|failure| (failure.root.is_some(), failure.subject.build.is_some()));
        let candidates: BTreeSet<&Subject> = news.working.iter().chain(&news.mended).collect();
        let mended = candidates
            .into_iter()
            .filter(|subject| concerns(&subject.package))
            .filter_map(|subject| match said(&subject.to_string()) {
                Some(Said::Failing { root, .. }) => Some((subject, root.clone())),
                Some(_) => None,
                None => news.mended.contains(subject).then_some((subject, None)),
            })
            .collect();
        let names = |names: &'a [String], what: Said| {
            let fresh = |name: &&String| concerns(name) && said(name) != Some(&what);
            names.iter().filter(fresh).map(String::as_str).collect()
        };
        let (new, gone) =
            (names(&news.new_packages, Said::New), names(&news.gone_packages, Said::Gone));
        Tidings { news, broken, mended, new, gone }
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.broken.is_empty()
            && self.mended.is_empty()
            && self.new.is_empty()
            && self.gone.is_empty()
    }

    /// The failures that are nobody else's doing.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &'a Failure> {
        self.broken.iter().copied().filter(|failure| failure.root.is_none())
    }

    /// How many of these a package blocks.
    pub(crate) fn blocked_by(&self, root: &str) -> usize {
        self.broken.iter().filter(|failure| failure.root.as_deref() == Some(root)).count()
    }

    /// The root failures of which these tidings are, the one with the most to it first.
    pub(crate) fn threads(&self) -> Vec<&str> {
        let mut threads: Vec<(usize, &str)> = Vec::new();
        let broken = self.broken.iter().map(|f| f.root.as_deref().unwrap_or(&f.subject.package));
        let mended = self.mended.iter().map(|(s, root)| root.as_deref().unwrap_or(&s.package));
        for thread in broken.chain(mended) {
            match threads.iter_mut().find(|(_, known)| *known == thread) {
                Some((count, _)) => *count += 1,
                None => threads.push((1, thread)),
            }
        }
        threads.sort_by_key(|(count, _)| usize::MAX - count);
        threads.into_iter().map(|(_, thread)| thread).collect()
    }
}
