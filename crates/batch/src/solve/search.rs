//! The newest solution of one package version.
//!
//! PubGrub finds a solution, or proves that there is none. In which order it decides is its own affair, so which of
//! several solutions it finds first means nothing. What is promised is made of further questions: for each package in
//! turn, whether there also is a solution with a newer version. Mostly all are the newest, and there is none to ask.

use std::collections::HashMap;

use pubgrub::{DerivationTree, PubGrubError};

use super::{
    network::{Network, Reason},
    provider::{Circle, Node, Question, Stopped, Versions},
};
use crate::catalogue::{CompilerId, VersionId};

/// Why there is no solution, as PubGrub derived it, with the circles that it speaks of.
pub(super) struct Unsolvable {
    pub derivation: DerivationTree<Node, Versions, Reason>,
    pub circles: Vec<Circle>,
}

/// What came of a search.
pub(super) struct Found {
    /// The target and all that it needs, sorted, or why there is no solution.
    pub came: Result<Vec<VersionId>, Unsolvable>,
    /// How often PubGrub was asked.
    pub asked: usize,
}

/// The chosen place of each package, by the number of its name.
type Choice = HashMap<u32, u32>;

/// Looks for the newest solution for a package version that can be chosen.
pub(super) fn newest(
    network: &Network<'_>,
    target: VersionId,
    compiler: CompilerId,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Found, Stopped> {
    let target = network.place(target);
    let (bound, circles) = (Vec::new(), Vec::new());
    let mut question = Question { network, compiler, target, bound, circles, asked: 0, stop };
    let mut choice = match ask(&mut question)? {
        Ok(choice) => choice,
        Err(derivation) => {
            let Question { circles, asked, .. } = question;
            return Ok(Found { came: Err(Unsolvable { derivation, circles }), asked });
        }
    };
    let mut settled = vec![target];
    let mut level = 0..1;
    while !level.is_empty() {
        for name in next_level(network, &settled, level.clone()) {
            while let Some(newer) = newer(&question, &settled, name, choice[&name]) {
                question.bound.push((name, newer));
                let found = ask(&mut question)?;
                question.bound.pop();
                match found {
                    Ok(found) => choice = found,
                    Err(_) => break,
                }
            }
            let place = choice[&name];
            settled.push((name, place));
            question.bound.push((name, Versions::between(place, place + 1)));
        }
        level = level.end..settled.len();
    }
    let mut chosen: Vec<VersionId> =
        settled.into_iter().map(|(name, place)| network.id(name, place)).collect();
    chosen.sort_unstable();
    Ok(Found { came: Ok(chosen), asked: question.asked })
}

/// The names that a level of what is settled needs and that are not settled, in their order.
fn next_level(
    network: &Network<'_>,
    settled: &[(u32, u32)],
    level: std::ops::Range<usize>,
) -> Vec<u32> {
    let users = settled[level].iter();
    let needs = users.flat_map(|(name, place)| network.needs(network.id(*name, *place)));
    let mut names: Vec<u32> = needs.map(|(name, _)| *name).collect();
    names.retain(|name| settled.iter().all(|(known, _)| known != name));
    // Those that the set does not have come last, but then there is no solution.
    names.sort_unstable();
    names.dedup();
    names
}

/// The versions of a package that are newer than the one chosen and that what is settled could do with; `None` where
/// there are none.
fn newer(
    question: &Question<'_>,
    settled: &[(u32, u32)],
    name: u32,
    chosen: u32,
) -> Option<Versions> {
    let network = question.network;
    let admitted = |place: u32| {
        let needs =
            settled.iter().flat_map(|(name, place)| network.needs(network.id(*name, *place)));
        let mut own = needs.filter(|(need, _)| *need == name);
        own.all(|(_, versions)| versions.has(place))
            && network.reason(network.id(name, place), question.compiler).is_none()
    };
    let newer = Versions::of((0..chosen).map(admitted));
    (!newer.is_none()).then_some(newer)
}

/// Asks PubGrub for a solution without a circle.
fn ask(
    question: &mut Question<'_>,
) -> Result<Result<Choice, DerivationTree<Node, Versions, Reason>>, Stopped> {
    loop {
        let (name, place) = question.target;
        question.asked += 1;
        let chosen = match pubgrub::resolve(&*question, Node::Package(name), place) {
            Ok(chosen) => chosen,
            Err(PubGrubError::NoSolution(derivation)) => return Ok(Err(derivation)),
            Err(_) => return Err(Stopped),
        };
        let packages = chosen.into_iter().filter_map(|(node, place)| match node {
            Node::Package(name) => Some((name, place)),
            Node::Circle(_) => None,
        });
        let choice: Choice = packages.collect();
        match circle(question, &choice) {
            None => return Ok(Ok(choice)),
            Some(circle) => question.circles.push(circle),
        }
    }
}

/// A circle among what is chosen, from the target on; `None` where there is none.
fn circle(question: &Question<'_>, choice: &Choice) -> Option<Circle> {
    let network = question.network;
    let needs = |(name, place)| network.needs(network.id(name, place)).iter();
    // Those on the way from the target, each with what it still needs to be looked at.
    let mut way = vec![(question.target, needs(question.target))];
    let mut seen = HashMap::from([(question.target.0, true)]);
    while let Some((member, left)) = way.last_mut() {
        let Some((need, _)) = left.next() else {
            seen.insert(member.0, false);
            way.pop();
            continue;
        };
        match seen.get(need) {
            Some(false) => {}
            Some(true) => {
                let start = way.iter().position(|((name, _), _)| name == need)?;
                return Some(way[start..].iter().map(|(member, _)| *member).collect());
            }
            None => {
                let next = (*need, *choice.get(need)?);
                seen.insert(*need, true);
                way.push((next, needs(next)));
            }
        }
    }
    None
}
