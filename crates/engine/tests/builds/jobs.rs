//! Jobs: what comes of results to come.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use larder_engine::{
    job::{Built, Failed, Flow, Job, Registry, Scheduler, collect, settle},
    pool::{Lane, Pool, Slots},
};
use larder_trace::{BuildTrace, ContentHash};
use proptest::prelude::*;

use crate::support::{Meeting, finish, local};

const LONG: u32 = 100_000;

fn scheduler() -> Arc<Scheduler> {
    Scheduler::new(Pool::new(local(3)))
}

fn number(scheduler: &Arc<Scheduler>, value: u32) -> Job<u32> {
    Job::spawn(scheduler, move || Flow::Ended(Ok(built(value))))
}

fn bad(scheduler: &Arc<Scheduler>) -> Job<u32> {
    Job::spawn(scheduler, || Flow::Ended(Err(Failed)))
}

fn built(value: u32) -> Built<u32> {
    Built { value, trace: BuildTrace::text("number", value.to_string()) }
}

proptest! {
    #[test]
    fn collecting_keeps_order_and_mixes_traces(values in prop::collection::vec(0u32..9, 0..20)) {
        let scheduler = scheduler();
        let jobs: Vec<_> = values.iter().map(|&value| number(&scheduler, value)).collect();
        let all = finish(&scheduler, &collect(&scheduler, jobs)).unwrap();
        prop_assert_eq!(&all.value, &values);
        let parts = values.iter().map(|value| BuildTrace::text("number", value.to_string()));
        let expected: ContentHash = BuildTrace::nil("inputs").mix_all(parts).hash();
        prop_assert_eq!(all.trace.hash(), expected);
    }

    #[test]
    fn going_on_as_another_job_is_mapping_twice(value in 0u32..100) {
        let scheduler = scheduler();
        let first = number(&scheduler, value);
        let again = scheduler.clone();
        let bound = first.flow(move |built| Flow::Continued(number(&again, built.value + 1)));
        let mapped = first.map(move |first| Ok(built(first.value + 1)));
        let both = collect(&scheduler, [bound, mapped]);
        prop_assert_eq!(&finish(&scheduler, &both).unwrap().value, &[value + 1, value + 1]);
    }
}

#[test]
fn a_failure_stops_what_needs_it_and_nothing_else() {
    let scheduler = scheduler();
    let first = bad(&scheduler);
    let needs_bad =
        first.map(|_| -> Result<Built<u32>, Failed> { unreachable!("its input failed") });
    let all = settle(&scheduler, [first, number(&scheduler, 1), needs_bad]);
    let settled = finish(&scheduler, &all).unwrap();
    let values: Vec<_> =
        settled.value.iter().map(|finished| finished.as_ref().ok().map(|b| b.value)).collect();
    assert_eq!(values, [None, Some(1), None]);
    let collected = collect(&scheduler, [number(&scheduler, 1), bad(&scheduler)]);
    assert_eq!(finish(&scheduler, &collected).map(|_| ()), Err(Failed));
    assert_eq!(scheduler.panics(), [""; 0]);
}

#[test]
fn each_key_is_made_once() {
    let made = AtomicU32::new(0);
    let scheduler = scheduler();
    let registry = Registry::default();
    let ask = || {
        registry.fetch(&scheduler, "key", || {
            made.fetch_add(1, Ordering::Relaxed);
            number(&scheduler, 7)
        })
    };
    let all = collect(&scheduler, [ask(), ask(), ask()]);
    assert_eq!(finish(&scheduler, &all).unwrap().value, [7, 7, 7]);
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[test]
fn a_job_that_waits_for_itself_is_noticed() {
    let scheduler = scheduler();
    let registry: Registry<&str, u32> = Registry::default();
    let itself = registry.fetch(&scheduler, "a", || {
        let needs = registry.fetch(&scheduler, "a", || unreachable!("it is being made"));
        needs.map(|last| Ok(built(last.value)))
    });
    let sibling = number(&scheduler, 1);
    let (all, one) = (itself.clone(), sibling.clone());
    let Ok(ended) = scheduler.run(|| Ok::<_, Infallible>(settle(&scheduler, [all, one])));
    assert!(ended.finished().is_none() && itself.finished().is_none());
    assert_eq!(sibling.finished().unwrap().unwrap().value, 1);
}

/// Runs a test with so little stack that no call for each of very many jobs can go unnoticed.
fn with_little_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(512 << 10).spawn(test).unwrap().join().unwrap();
}

/// A chain of jobs, each of which adds one to the last.
fn chain(first: Job<u32>) -> Job<u32> {
    (0..LONG).fold(first, |job, _| job.map(|last| Ok(built(last.value + 1))))
}

/// A job that goes on as another, which goes on as another …
fn followers(scheduler: &Arc<Scheduler>, last: Job<u32>) -> Job<u32> {
    (0..LONG).fold(last, |job, _| {
        let scheduler = scheduler.clone();
        Job::spawn(&scheduler, move || Flow::Continued(job))
    })
}

#[test]
fn a_long_chain_needs_no_deep_stack() {
    with_little_stack(|| {
        // One slot: everything runs on this thread.
        let scheduler = Scheduler::new(Pool::new(local(1)));
        let good = chain(number(&scheduler, 0));
        assert_eq!(finish(&scheduler, &good).unwrap().value, LONG);
        let failed = chain(bad(&scheduler));
        assert_eq!(finish(&scheduler, &failed).map(|_| ()), Err(Failed));
        let panics = chain(Job::spawn(&scheduler, || panic!("the first of many")));
        assert_eq!(finish(&scheduler, &panics).map(|_| ()), Err(Failed));
        assert_eq!(scheduler.panics(), ["the first of many"]);
    });
}

#[test]
fn a_long_row_of_followers_needs_no_deep_stack() {
    with_little_stack(|| {
        let scheduler = Scheduler::new(Pool::new(local(1)));
        // The one that all wait for is queued behind all of them.
        let behind = |job: fn(&Arc<Scheduler>) -> Job<u32>| {
            let again = scheduler.clone();
            Job::spawn(&scheduler, move || Flow::Continued(job(&again)))
        };
        let all = followers(&scheduler, behind(|scheduler| number(scheduler, 7)));
        assert_eq!(finish(&scheduler, &all).unwrap().value, 7);
        let failed = followers(&scheduler, behind(bad));
        assert_eq!(finish(&scheduler, &failed).map(|_| ()), Err(Failed));
    });
}

#[test]
fn a_plan_that_fails_leaves_nothing_that_still_runs() {
    with_little_stack(|| {
        let scheduler = Scheduler::new(Pool::new(local(1)));
        let ran = Arc::new(AtomicU32::new(0));
        let (counts, queued) = (ran.clone(), scheduler.clone());
        let planned: Result<Job<u32>, &str> = scheduler.run(move || {
            let first = Job::spawn(&queued, move || {
                counts.fetch_add(1, Ordering::Relaxed);
                Flow::Ended(Ok(built(0)))
            });
            drop(chain(first));
            Err("the manifest is wrong")
        });
        assert_eq!(planned.err(), Some("the manifest is wrong"));
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        // The next plan is none the worse for it.
        assert_eq!(finish(&scheduler, &number(&scheduler, 3)).unwrap().value, 3);
    });
}

#[test]
fn as_many_run_at_once_as_there_are_slots_and_no_more() {
    let lanes = [Lane::Local, Lane::Fetch, Lane::Remote];
    for (slots, lane) in [1, 3].into_iter().flat_map(|slots| lanes.map(|lane| (slots, lane))) {
        let all = Slots { local: slots, fetch: slots, remote: slots };
        let scheduler = Scheduler::new(Pool::new(all));
        let meeting = Arc::new(Meeting::default());
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<Job<()>> = (0..12)
            .map(|_| {
                let (running, most, meeting) = (running.clone(), most.clone(), meeting.clone());
                Job::go_on(&scheduler, lane, move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    assert!(meeting.join(slots), "a slot stays empty");
                    // Until the others have had their chance to be too many.
                    let until = Instant::now() + Duration::from_millis(10);
                    while Instant::now() < until {
                        thread::yield_now();
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    Flow::Ended(Ok(Built { value: (), trace: BuildTrace::nil("job") }))
                })
            })
            .collect();
        finish(&scheduler, &collect(&scheduler, jobs)).unwrap();
        assert_eq!(most.load(Ordering::SeqCst), slots);
    }
}

#[test]
fn a_task_that_waits_elsewhere_keeps_no_other_lane_waiting() {
    let scheduler = Scheduler::new(Pool::new(Slots { local: 1, fetch: 1, remote: 1 }));
    let meeting = Arc::new(Meeting::default());
    let jobs: Vec<Job<()>> = [Lane::Fetch, Lane::Local, Lane::Remote]
        .into_iter()
        .map(|lane| {
            let meeting = meeting.clone();
            Job::go_on(&scheduler, lane, move || {
                assert!(meeting.join(3), "{lane:?} waits for the others in vain");
                Flow::Ended(Ok(Built { value: (), trace: BuildTrace::nil("job") }))
            })
        })
        .collect();
    finish(&scheduler, &collect(&scheduler, jobs)).unwrap();
}
