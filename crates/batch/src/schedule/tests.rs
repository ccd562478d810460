use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn task(needs: &[Need], seconds: u64) -> Task {
    let expected = Expected { time: Duration::from_secs(seconds), memory: 0 };
    Task { needs: needs.to_vec(), expected }
}

#[test]
fn the_longest_path_goes_first() {
    let mut schedule = Schedule::new(vec![
        task(&[], 5),
        task(&[], 1),
        task(&[Need::required(1)], 1),
        task(&[Need::required(2)], 9),
        task(&[], 5),
    ]);
    assert_eq!(schedule.left(1), Duration::from_secs(21));
    assert_eq!(schedule.left(8), Duration::from_secs(11));
    let started: Vec<_> = std::iter::from_fn(|| schedule.start_next()).collect();
    assert_eq!(started, [1, 0, 4], "by their paths of 11, 5 and 5 seconds");
    assert_eq!((schedule.running(), schedule.is_over()), (3, false));
    assert_eq!(schedule.end(1, true), []);
    assert_eq!(schedule.start_next(), Some(2));
}

#[test]
fn tasks_that_need_too_much_memory_together_run_one_after_the_other() {
    let task = |seconds, memory| Task {
        needs: Vec::new(),
        expected: Expected { time: Duration::from_secs(seconds), memory },
    };
    let tasks = vec![task(9, 6), task(8, 5), task(7, 4), task(6, 1), task(1, 99)];
    let mut schedule = Schedule::new(tasks).within(10);
    assert_eq!(schedule.start_next(), Some(0));
    assert_eq!(schedule.start_next(), None, "11 is too much, and what comes later waits its turn");
    assert_eq!((schedule.busy(), schedule.is_over()), (5, false));
    schedule.end(0, true);
    let started: Vec<_> = std::iter::from_fn(|| schedule.start_next()).collect();
    assert_eq!(started, [1, 2, 3], "10 together");
    for id in [1, 2] {
        schedule.end(id, true);
        assert_eq!(schedule.start_next(), None);
    }
    schedule.end(3, true);
    assert_eq!(schedule.start_next(), Some(4), "alone, it runs whatever it needs");
}

#[test]
fn a_task_is_blocked_when_all_that_blocks_it_is_known() {
    let mut schedule = Schedule::new(vec![
        task(&[], 1),
        task(&[], 1),
        task(&[Need::required(0), Need::required(1)], 1),
        task(&[Need::required(2)], 1),
        task(&[Need::optional(2), Need::required(1)], 1),
    ]);
    while schedule.start_next().is_some() {}
    assert_eq!(schedule.end(0, false), [], "the other one may fail as well");
    let blocked = schedule.end(1, true);
    assert_eq!(
        blocked,
        [
            Blocked { task: 2, by: vec![0], roots: vec![0] },
            Blocked { task: 3, by: vec![2], roots: vec![0] },
        ],
        "and what can do without it goes on"
    );
    assert_eq!(schedule.start_next(), Some(4));
    assert_eq!(schedule.end(4, true), []);
    assert!(schedule.is_over());
    assert_eq!(schedule.end(4, false), [], "an end that is told twice changes nothing");
    assert_eq!(schedule.ended(4), Some(End::Worked));
}

/// A task of a random graph: its needs and whether each is optional, how long it takes, and whether it works.
type Drawn = (Vec<(prop::sample::Index, bool)>, u64, bool);

/// A random graph.
fn graphs() -> impl Strategy<Value = Vec<Drawn>> {
    let needs =
        prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.2)), 0..4);
    prop::collection::vec((needs, 0..100_u64, prop::bool::weighted(0.8)), 1..40)
}

/// How long what is not over is expected to take, by looking at all of it.
fn left(tasks: &[Task], over: &BTreeSet<TaskId>, room: usize) -> Duration {
    let mut paths = vec![Duration::ZERO; tasks.len()];
    for (id, task) in tasks.iter().enumerate().rev() {
        paths[id] += task.expected.time;
        for need in &task.needs {
            if need.task < id {
                paths[need.task] = paths[need.task].max(paths[id]);
            }
        }
    }
    let open = || (0..tasks.len()).filter(|id| !over.contains(id));
    let sum: Duration = open().map(|id| tasks[id].expected.time).sum();
    open().map(|id| paths[id]).max().unwrap_or_default().max(sum / room as u32)
}

proptest! {
    /// Whatever order ends come in: each task is tried once or blocked once, after all that it needs, never more
    /// at once than there is room and memory for, and what blocks it is what a plain look at the graph says.
    #[test]
    fn each_task_has_one_end(
        graph in graphs(), room in 1..5_usize, memory in 0..200_u64, choices in any::<u64>(),
    ) {
        let tasks: Vec<Task> = graph.iter().enumerate().map(|(id, (needs, seconds, _))| {
            let needs = needs.iter().filter(|_| id > 0);
            let needs = needs.map(|(at, optional)| Need { task: at.index(id.max(1)), optional: *optional });
            // As much memory as time: any number will do.
            let expected = Expected { time: Duration::from_secs(*seconds), memory: *seconds };
            Task { needs: needs.collect(), expected }
        }).collect();
        // Of two needs of one task, the required one counts.
        let needs_of = |id: TaskId| {
            let mut needs = BTreeMap::new();
            for need in &tasks[id].needs {
                *needs.entry(need.task).or_insert(true) &= need.optional;
            }
            needs
        };
        let mut roots_of: Vec<BTreeSet<TaskId>> = Vec::new();
        let mut works = Vec::new();
        for (id, (_, _, own)) in graph.iter().enumerate() {
            let by: Vec<TaskId> =
                needs_of(id).iter().filter(|&(&need, &optional)| !optional && works[need] != End::Worked).map(|(&need, _)| need).collect();
            let behind = by.iter().flat_map(|&need| match works[need] {
                End::Blocked => roots_of[need].clone(),
                _ => BTreeSet::from([need]),
            });
            roots_of.push(behind.collect());
            works.push(match (by.is_empty(), own) {
                (false, _) => End::Blocked,
                (true, true) => End::Worked,
                (true, false) => End::Failed,
            });
        }

        let mut schedule = Schedule::new(tasks.clone()).within(memory);
        let (mut running, mut over, mut state) = (Vec::new(), BTreeSet::new(), choices);
        loop {
            while running.len() < room {
                let Some(id) = schedule.start_next() else { break };
                prop_assert!(needs_of(id).keys().all(|need| over.contains(need)), "{id} started early");
                running.push(id);
            }
            let held: u64 = running.iter().map(|id: &TaskId| tasks[*id].expected.memory).sum();
            prop_assert!(held <= memory || running.len() == 1, "{held} of {memory}");
            prop_assert_eq!(schedule.running(), running.len());
            prop_assert_eq!(schedule.over(), over.len());
            prop_assert_eq!(schedule.left(room), left(&tasks, &over, room));
            if running.is_empty() {
                break;
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = running.swap_remove((state >> 33) as usize % running.len());
            prop_assert!(over.insert(id), "{id} was tried twice");
            for Blocked { task, by, roots } in schedule.end(id, graph[id].2) {
                let expected: Vec<TaskId> = needs_of(task).iter()
                    .filter(|&(&need, &optional)| !optional && works[need] != End::Worked)
                    .map(|(&need, _)| need).collect();
                prop_assert_eq!(by, expected);
                prop_assert_eq!(roots, roots_of[task].iter().copied().collect::<Vec<_>>());
                prop_assert!(over.insert(task), "{task} was blocked twice");
            }
        }
        prop_assert!(schedule.is_over());
        let ends: Vec<_> = (0..tasks.len()).map(|id| schedule.ended(id)).collect();
        prop_assert_eq!(ends, works.into_iter().map(Some).collect::<Vec<_>>());
        prop_assert_eq!(schedule.left(room), Duration::ZERO);
    }
}
