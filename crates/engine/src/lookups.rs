//! Lookups: what a build asked the cache for, and how well each service would have answered.
//!
//! A step that is not up to date asks the store, which has candidates from everywhere. What came of
//! each candidate is noted, and who gave it is only found out when somebody wants to know: that takes
//! reading all mappings that services gave.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use larder_remote::Given;
use larder_store::{Layout, Mappings, Miss, Scope, Unfetched};
use larder_trace::{ContentHash, Outputs};
use serde::Serialize;

/// Why a service did not answer a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceMiss {
    /// It has given no mapping of this dep hash.
    NeverUploaded,
    /// What it has was made of other discovered inputs.
    OtherInputs,
    /// It had the outputs, and they could not be had any more.
    Lost,
    /// It does not give them, or what it gives is not believed.
    Refused,
}

/// How the lookups of a build fared that one service could have answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceCounts {
    /// The service's name in the configuration.
    pub service: String,
    /// All of them: hits and misses.
    pub lookups: usize,
    /// The answer is one that the service has given a mapping of, wherever its bytes lay.
    pub hit: usize,
    /// Nobody answered: the sum of what follows.
    pub missed: usize,
    /// It has given no mapping.
    pub never_uploaded: usize,
    /// Its mapping is of other discovered inputs.
    pub other_inputs: usize,
    /// An artifact of it could not be had any more.
    pub lost: usize,
    /// It was denied, corrupt, or not believed.
    pub refused: usize,
}

impl ServiceCounts {
    fn hit(&mut self) {
        self.lookups += 1;
        self.hit += 1;
    }

    fn miss(&mut self, why: ServiceMiss) {
        self.lookups += 1;
        self.missed += 1;
        *match why {
            ServiceMiss::NeverUploaded => &mut self.never_uploaded,
            ServiceMiss::OtherInputs => &mut self.other_inputs,
            ServiceMiss::Lost => &mut self.lost,
            ServiceMiss::Refused => &mut self.refused,
        } += 1;
    }
}

/// What one lookup came to.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The candidates that were looked at and why each did not do.
    pub missed: Vec<(Outputs, ServiceMiss)>,
    /// The candidate that answered it.
    pub answer: Option<Outputs>,
    /// Whether candidates may be left that nobody looked at, since one did that came to nothing.
    pub broke_off: bool,
}

impl Asked {
    /// How the service that gave `mappings` of it fared; `None` when it was not its turn.
    fn of_service(&self, mappings: &[Outputs]) -> Option<Result<(), ServiceMiss>> {
        if let Some(answer) = &self.answer {
            return mappings.iter().any(|it| is_same(it, answer)).then_some(Ok(()));
        }
        if mappings.is_empty() {
            return Some(Err(ServiceMiss::NeverUploaded));
        }
        let theirs = |(outputs, why): &(Outputs, ServiceMiss)| {
            mappings.iter().any(|it| is_same(it, outputs)).then_some(*why)
        };
        match self.missed.iter().filter_map(theirs).max() {
            Some(why) => Some(Err(why)),
            None if self.broke_off => None,
            // It was given once, and the store does not know it any more.
            None => Some(Err(ServiceMiss::Lost)),
        }
    }
}

/// Whether both are the same files made of the same inputs, whatever was printed.
fn is_same(a: &Outputs, b: &Outputs) -> bool {
    a.made_the_same(b) && a.discovered == b.discovered && a.searched == b.searched
}

/// Why outputs were not restored because of this miss; `None` where the service is not to blame.
pub(crate) fn why(miss: &Miss) -> Option<ServiceMiss> {
    match miss {
        Miss::Unwritable { .. } => None,
        Miss::NotFetched(Unfetched::Refused(_)) | Miss::WrongSize { .. } => {
            Some(ServiceMiss::Refused)
        }
        Miss::NotFetched(Unfetched::Lost(_))
        | Miss::Absent
        | Miss::Corrupt
        | Miss::Unreadable { .. } => Some(ServiceMiss::Lost),
    }
}

/// The lookups of one build.
#[derive(Debug)]
pub struct Lookups {
    layout: Layout,
    /// By package: under which scopes its outputs are looked up.
    scopes: HashMap<String, Vec<Scope>>,
    /// By package and dep hash.
    asked: Mutex<HashMap<String, HashMap<ContentHash, Asked>>>,
}

impl Lookups {
    /// None yet, in a store at `layout`. `None` where no service has ever given anything: there is
    /// nothing to tell then.
    pub(crate) fn new(layout: &Layout, scopes: &HashMap<String, Vec<Scope>>) -> Option<Self> {
        let given = layout.revisions().is_dir();
        given.then(|| Self {
            layout: layout.clone(),
            scopes: scopes.clone(),
            asked: Mutex::default(),
        })
    }

    /// Notes what a lookup came to. Of two that are the same the last counts. One that came to nothing
    /// for reasons of this machine (`None`) does not count.
    pub(crate) fn note(&self, package: &str, dep_hash: ContentHash, asked: Option<Asked>) {
        let mut all = self.asked();
        if !all.contains_key(package) {
            all.insert(package.to_owned(), HashMap::new());
        }
        let Some(of_package) = all.get_mut(package) else { return };
        match asked {
            Some(asked) => _ = of_package.insert(dep_hash, asked),
            None => _ = of_package.remove(&dep_hash),
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, HashMap<ContentHash, Asked>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts for every service that gave mappings for one of the packages that asked, sorted by name.
    /// Reads what services gave, unless nothing was asked.
    pub fn by_service(&self) -> Vec<ServiceCounts> {
        let all = self.asked();
        if all.values().all(HashMap::is_empty) {
            return Vec::new();
        }
        let mut services = BTreeMap::<String, Vec<Given>>::new();
        for given in Given::all(&self.layout) {
            services.entry(given.service.clone()).or_default().push(given);
        }
        let counts = services.into_iter().map(|(service, given)| {
            let mut counts = ServiceCounts { service, ..ServiceCounts::default() };
            self.count(&all, &given, &mut counts);
            counts
        });
        counts.filter(|counts| counts.lookups > 0).collect()
    }

    /// Counts for one service, which gave `given`.
    fn count(
        &self,
        all: &HashMap<String, HashMap<ContentHash, Asked>>,
        given: &[Given],
        counts: &mut ServiceCounts,
    ) {
        let mut theirs = HashMap::<(&str, ContentHash), Vec<Outputs>>::new();
        for given in given {
            let packages: Vec<_> =
                all.iter().filter(|(package, _)| self.looks_in(package, given)).collect();
            if packages.is_empty() {
                continue;
            }
            let mappings = match Mappings::read(&given.path) {
                Ok(mappings) => mappings,
                Err(error) => {
                    tracing::info!("not counted: {error}");
                    continue;
                }
            };
            for (package, asked) in packages {
                for dep_hash in asked.keys() {
                    let known = theirs.entry((package, *dep_hash)).or_default();
                    known.extend(mappings.get(dep_hash).cloned());
                }
            }
        }
        for ((package, dep_hash), mappings) in theirs {
            let asked = all.get(package).and_then(|asked| asked.get(&dep_hash));
            match asked.and_then(|asked| asked.of_service(&mappings)) {
                Some(Ok(())) => counts.hit(),
                Some(Err(why)) => counts.miss(why),
                None => {}
            }
        }
    }

    fn looks_in(&self, package: &str, given: &Given) -> bool {
        self.scopes.get(package).is_some_and(|scopes| scopes.contains(&given.local_scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ServiceMiss::{Lost, NeverUploaded, OtherInputs, Refused};
    use larder_trace::OutputFile;

    fn outputs(name: &str) -> Outputs {
        let hash = ContentHash::of_bytes(name.as_bytes());
        let file = OutputFile { path: "x".to_owned(), hash, size: 1, executable: false };
        Outputs { outputs: vec![file], ..Outputs::default() }
    }

    #[test]
    fn an_answer_is_a_hit_of_those_who_have_it_and_concerns_nobody_else() {
        let asked = Asked {
            missed: vec![(outputs("b"), OtherInputs)],
            answer: Some(outputs("a")),
            broke_off: false,
        };
        assert_eq!(asked.of_service(&[outputs("b"), outputs("a")]), Some(Ok(())));
        assert_eq!(asked.of_service(&[outputs("b")]), None);
        assert_eq!(asked.of_service(&[]), None);
    }

    #[test]
    fn without_an_answer_the_candidate_that_came_furthest_says_why() {
        let mut asked = Asked {
            missed: vec![
                (outputs("a"), Refused),
                (outputs("b"), OtherInputs),
                (outputs("c"), Lost),
            ],
            ..Asked::default()
        };
        let mut why = |names: &[&str], broke_off| {
            asked.broke_off = broke_off;
            asked.of_service(&names.iter().map(|name| outputs(name)).collect::<Vec<_>>())
        };
        for broke_off in [false, true] {
            assert_eq!(why(&[], broke_off), Some(Err(NeverUploaded)));
            assert_eq!(why(&["b"], broke_off), Some(Err(OtherInputs)));
            assert_eq!(why(&["b", "c"], broke_off), Some(Err(Lost)));
            assert_eq!(why(&["c", "a", "b"], broke_off), Some(Err(Refused)));
        }
        // The store has forgotten it; or has not come to it.
        assert_eq!(why(&["d"], false), Some(Err(Lost)));
        assert_eq!(why(&["d"], true), None);
    }
}
