//! Watching the commands that share an allowance: all their processes, whatever they do to get away.
//!
//! One thread looks again and again which processes descend from each command. Larder adopts those whose parents
//! have ended, so a process that leaves its group and its session is still found among its children: it was
//! seen before, or belongs to a group or session of the command's, or began with its environment. A process of
//! a sandbox that is none of these, in a session of its own, has taken pains to be nobody's, and is ended.
//!
//! The kernel holds two limits by itself: no file becomes larger than all may be together, and none leaves a core.
//! The rest is looked at, so it may be exceeded by what can be done between two looks.

mod ending;
mod family;

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid};

use self::{
    ending::{end, signal, tell_group},
    family::{families, orphans},
};
use super::{
    Cost, Exit,
    allowance::{Budget, Limit},
    tree::{self, Seen},
};

/// Processes are looked at so often, when that takes little,
const SHORT: Duration = Duration::from_millis(10);
/// at most a part of the time,
const SHARE: u32 = 20;
/// and at least so often.
const LONG: Duration = Duration::from_millis(100);

/// Files are measured at most a part of the time, and not more often than so.
const MEASURE_SHARE: u32 = 50;
const MEASURE: Duration = Duration::from_millis(100);

/// How long the thread that watches waits for another command.
const IDLE: Duration = Duration::from_secs(1);

/// How much less urgent commands are than larder, which has to look after them.
const NICER: i32 = 10;

/// Of the machine's processes, the kernel ends these first when it has no memory left.
const EXPENDABLE: &str = "500";

/// The commands of a process that share allowances.
#[derive(Debug, Default)]
pub struct Watch {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By the id of their first process.
    commands: HashMap<i32, Watched>,
    /// Whether a thread looks after them.
    watched: bool,
    /// Whether it is to look now.
    now: bool,
    /// How many processes and threads the machine had when nothing was amiss.
    calm: u64,
}

/// A command that is watched.
#[derive(Debug)]
struct Watched {
    budget: Arc<Budget>,
    /// A variable that only processes of this command begin with.
    mark: Option<String>,
    /// Its processes, with when they began.
    known: HashMap<i32, u64>,
    measured: Option<Measured>,
}

/// A command that is watched, until it is dropped.
#[derive(Debug)]
pub struct Guard {
    watch: Arc<Watch>,
    id: Pid,
    budget: Arc<Budget>,
}

/// When the files of a budget were measured, and how long that took.
#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Instant,
    took: Duration,
}

impl Watch {
    /// Waits for so long, or as long as `wait` says.
    fn wait<'s>(
        &'s self,
        state: MutexGuard<'s, State>,
        most: Duration,
        wait: impl Fn(&State) -> bool,
    ) -> MutexGuard<'s, State> {
        let waited = self.wake.wait_timeout_while(state, most, |state| wait(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the command that began at `started` as process `id`, with `mark` in its environment, as one of those
    /// that share `budget`.
    pub fn begin(
        self: &Arc<Self>,
        id: Pid,
        mark: Option<String>,
        budget: &Arc<Budget>,
        started: Instant,
    ) -> Guard {
        adopt_orphans();
        restrain(id, budget);
        budget.begin(started);
        let watched =
            Watched { budget: budget.clone(), mark, known: HashMap::new(), measured: None };
        let mut state = self.state();
        if state.commands.is_empty() {
            state.calm = tree::all_tasks();
        }
        state.commands.insert(id.as_raw_nonzero().get(), watched);
        if !state.watched {
            let watch = Arc::downgrade(self);
            let spawned =
                thread::Builder::new().name("watch".to_owned()).spawn(move || look_after(&watch));
            // Without a thread, each command looks after itself when it prints, and when it ends.
            state.watched = spawned.is_ok();
        }
        drop(state);
        self.wake.notify_one();
        Guard { watch: self.clone(), id, budget: budget.clone() }
    }

    /// Looks at all commands, and ends those of a budget of which a limit is reached. Returns how soon that is to be
    /// done again; `None` when there are none.
    fn tick(&self) -> Option<Duration> {
        let started = Instant::now();
        let alarmed = self.freeze_if_alarmed();
        let mut shares = self.shares();
        shares.iter_mut().for_each(Share::measure);
        for share in &shares {
            check(&share.budget, &share.processes);
        }
        let mut state = self.state();
        for share in shares.iter().filter(|share| share.measured.is_some()) {
            let of_budget = |watched: &&mut Watched| Arc::ptr_eq(&watched.budget, &share.budget);
            let commands = state.commands.values_mut().filter(of_budget);
            commands.for_each(|watched| watched.measured = share.measured);
        }
        let over = |watched: &Watched| watched.budget.reached().is_some();
        let over = state.commands.iter().filter(|(_, watched)| over(watched));
        let over: Vec<i32> = over.map(|(id, _)| *id).collect();
        if !over.is_empty() {
            end(&mut state, &over);
        }
        alarmed.iter().filter(|group| state.commands.contains_key(group)).for_each(|group| {
            tell_group(*group, Signal::CONT);
        });
        state.calm = tree::all_tasks();
        let left = shares.iter().filter_map(|share| share.budget.time_left()).min();
        let pause = (started.elapsed() * SHARE).clamp(SHORT, LONG);
        let pause = pause.min(left.unwrap_or(LONG).max(Duration::from_millis(1)));
        (!state.commands.is_empty()).then_some(pause)
    }

    /// Stops all commands whose processes are limited when the machine suddenly has many more: looking who they are takes
    /// time, and they would use it. Returns those that it stopped.
    fn freeze_if_alarmed(&self) -> Vec<i32> {
        let state = self.state();
        let limited = |watched: &Watched| watched.budget.allowance().processes;
        let Some(least) = state.commands.values().filter_map(limited).min() else {
            return Vec::new();
        };
        if tree::all_tasks() <= state.calm + least / 2 {
            return Vec::new();
        }
        let groups = state.commands.iter().filter(|(_, watched)| limited(watched).is_some());
        let groups: Vec<i32> = groups.map(|(id, _)| *id).collect();
        groups.iter().for_each(|group| tell_group(*group, Signal::STOP));
        groups
    }

    /// The processes of each budget, as they are now.
    fn shares(&self) -> Vec<Share> {
        let mut state = self.state();
        let families = families(&mut state);
        families.nobodys.iter().for_each(|seen| signal(seen, Signal::KILL));
        let mut shares: Vec<Share> = Vec::new();
        for (id, watched) in &state.commands {
            let family = families.of.get(id).into_iter().flatten();
            match shares.iter_mut().find(|share| Arc::ptr_eq(&share.budget, &watched.budget)) {
                Some(share) => share.processes.extend(family),
                None => shares.push(Share {
                    budget: watched.budget.clone(),
                    processes: family.copied().collect(),
                    measured: watched.measured,
                }),
            }
        }
        shares
    }
}

/// The commands that share a budget, at one moment.
struct Share {
    budget: Arc<Budget>,
    processes: Vec<Seen>,
    measured: Option<Measured>,
}

impl Share {
    /// Looks how much space files take, unless that was done a moment ago.
    fn measure(&mut self) {
        if self.budget.allowance().disk.is_none() {
            return;
        }
        let recent = |measured: Measured| {
            measured.at.elapsed() < (measured.took * MEASURE_SHARE).max(MEASURE)
        };
        if !self.measured.is_some_and(recent) {
            let began = Instant::now();
            self.budget.measure();
            self.measured = Some(Measured { at: Instant::now(), took: began.elapsed() });
        }
    }
}

/// Watches until there has been no command for a while.
fn look_after(watch: &Weak<Watch>) {
    while let Some(watch) = watch.upgrade() {
        let _leaving = Leaving(&watch);
        let pause = watch.tick();
        let mut state = watch.state();
        if pause.is_none() {
            state = watch.wait(state, IDLE, |state| state.commands.is_empty());
            if state.commands.is_empty() {
                state.watched = false;
                return;
            }
        }
        // Most commands end before there is anything to be seen.
        state = watch.wait(state, pause.unwrap_or(SHORT), |state| !state.now);
        state.now = false;
    }
}

/// Has another thread look after commands where this one goes down.
struct Leaving<'w>(&'w Watch);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.state().watched = false;
        }
    }
}

impl Guard {
    /// Returns the limit that was reached, if one was.
    pub fn reached(&self) -> Option<Limit> {
        self.budget.reached()
    }

    /// Takes note of what the command printed.
    pub fn print(&self, bytes: &[u8]) {
        self.budget.print(bytes);
        if self.reached().is_some() {
            self.watch.state().now = true;
            self.watch.wake.notify_one();
        }
    }

    /// Ends all that the command has left running. To be called when its first process has ended and was not
    /// waited for, so that no other has its id.
    pub fn finish(&self, exit: Exit) {
        self.budget.ended(exit);
        let mut state = self.watch.state();
        // Its children are larder's now. Mostly there are none.
        if orphans(&state).is_empty() {
            return;
        }
        end(&mut state, &[self.id.as_raw_nonzero().get()]);
    }

    /// Takes note of what the command cost.
    pub fn cost(&self, cost: &Cost) {
        self.budget.add(cost);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.watch.state().commands.remove(&self.id.as_raw_nonzero().get());
        self.budget.end();
    }
}

/// From now on, processes whose parents have ended become children of larder.
fn adopt_orphans() {
    static ADOPTS: std::sync::Once = std::sync::Once::new();
    ADOPTS.call_once(|| {
        if let Err(error) = rustix::process::set_child_subreaper(Some(getpid())) {
            tracing::debug!("processes that leave their command are not found: {error}");
        }
    });
}

/// Makes the calling thread, and whatever it starts, less urgent than larder. It is the first that a command's process
/// inherits: of many that start others without end, none is ever as urgent as who is to end them.
pub fn step_back() {
    let own = rustix::process::getpriority_process(None).unwrap_or(0);
    let _ = rustix::process::setpriority_process(None, (own + NICER).min(19));
}

/// Has the kernel hold what it can of a budget, for a process and all that it will start.
fn restrain(id: Pid, budget: &Budget) {
    let most = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    let limits =
        [Some((Resource::Core, 0)), budget.allowance().disk.map(|disk| (Resource::Fsize, disk))];
    for (resource, limit) in limits.into_iter().flatten() {
        // It may have ended.
        let _ = rustix::process::prlimit(Some(id), resource, most(limit));
    }
    let _ = std::fs::write(format!("/proc/{}/oom_score_adj", id.as_raw_nonzero()), EXPENDABLE);
}

/// Compares what commands take with what they may.
fn check(budget: &Budget, all: &[Seen]) {
    let living = || all.iter().filter(|seen| !seen.ended);
    budget.count(living().map(|seen| seen.threads.max(1)).sum());
    budget.weigh(living().map(|seen| tree::resident(seen.id)).sum(), || {
        let exact =
            |seen: &Seen| tree::proportional(seen.id).unwrap_or_else(|| tree::resident(seen.id));
        living().map(exact).sum()
    });
    if budget.time_left() == Some(Duration::ZERO)
        && let Some(limit) = budget.allowance().time
    {
        budget.reach(Limit::Time(limit));
    }
}
