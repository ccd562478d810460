//! Which processes belong to which command.

use std::collections::HashMap;

use rustix::process::{Pid, getpid};

use super::{State, Watched, ending::fetch};
use crate::process::tree::{self, Seen};

/// The processes of commands.
#[derive(Debug, Default)]
pub(super) struct Families {
    /// By the id of the command's first process; that is among them while it runs.
    pub of: HashMap<i32, Vec<Seen>>,
    /// Those that hide.
    pub nobodys: Vec<Seen>,
}

/// Children of larder that are no command's first process.
pub(super) fn orphans(state: &State) -> Vec<Pid> {
    let own = getpid();
    // The kernel gives orphans to the first thread.
    let children = tree::children_of_thread(own, own.as_raw_nonzero().get());
    children
        .into_iter()
        .filter(|id| !state.commands.contains_key(&id.as_raw_nonzero().get()))
        .collect()
}

/// Finds all processes of all commands, and remembers them.
pub(super) fn families(state: &mut State) -> Families {
    let mut families = Families::default();
    let most = state.commands.values().filter_map(|it| it.budget.allowance().processes).max();
    // Enough to see that there are too many.
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let most = most.saturating_mul(4);
    for id in state.commands.keys() {
        let first = Pid::from_raw(*id).and_then(tree::look);
        families.of.insert(*id, descendants(first, most));
    }
    let own_session = tree::look(getpid()).map_or(0, |own| own.session);
    for orphan in orphans(state).into_iter().filter_map(tree::look) {
        let owner = owner(state, &families, &orphan);
        let left_session = orphan.session != own_session;
        match owner {
            _ if orphan.ended && (owner.is_some() || left_session) => fetch(state, owner, &orphan),
            Some(owner) => {
                families.of.entry(owner).or_default().extend(descendants(Some(orphan), most));
            }
            None if left_session && tree::filters(orphan.id) > tree::filters(getpid()) => {
                families.nobodys.push(orphan);
            }
            None => {}
        }
    }
    for (id, watched) in &mut state.commands {
        let found = families.of.get(id).map_or(&[][..], Vec::as_slice);
        // Nobody else gets the id of a group or session that has members.
        watched.known.retain(|id, _| found.iter().any(|it| it.group == *id || it.session == *id));
        watched.known.extend(found.iter().map(|it| (it.id.as_raw_nonzero().get(), it.began)));
    }
    families
}

/// The command that an orphan belongs to.
fn owner(state: &State, families: &Families, orphan: &Seen) -> Option<i32> {
    let id = orphan.id.as_raw_nonzero().get();
    let is_known = |watched: &Watched| watched.known.get(&id) == Some(&orphan.began);
    let in_group = |first: i32, watched: &Watched| {
        let now = || families.of.get(&first).into_iter().flatten();
        let leads = |leader: i32| {
            watched.known.contains_key(&leader)
                || now().any(|seen| seen.id.as_raw_nonzero().get() == leader)
        };
        leader_of(orphan).into_iter().any(|leader| leader == first || leads(leader))
    };
    let began = |watched: &Watched| {
        watched.mark.as_deref().is_some_and(|mark| tree::began_with(orphan.id, mark))
    };
    let commands = || state.commands.iter();
    let known = commands().find(|(_, watched)| is_known(watched));
    let grouped = || commands().find(|(first, watched)| in_group(**first, watched));
    let found = known.or_else(grouped).or_else(|| commands().find(|(_, watched)| began(watched)));
    found.map(|(first, _)| *first)
}

/// The processes whose group and session a process is in, but for itself.
fn leader_of(seen: &Seen) -> Vec<i32> {
    let own = seen.id.as_raw_nonzero().get();
    [seen.group, seen.session].into_iter().filter(|leader| *leader != own).collect()
}

/// A process and all that descend from it, or so many that `most` are exceeded.
fn descendants(first: Option<Seen>, most: usize) -> Vec<Seen> {
    let mut found: Vec<Seen> = first.into_iter().collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        if found.len() > most {
            break;
        }
        if !parent.ended {
            // One whose parent is another by now is found with that.
            found.extend(tree::children(&parent).into_iter().filter_map(tree::look));
        }
    }
    found
}
