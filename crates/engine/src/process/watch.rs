//! Watching the commands that share an allowance: all their processes, whatever they do to get away.
//!
//! One thread looks again and again which processes descend from each command. Larder adopts those whose parents
//! have ended, so a process that leaves its group and its session is still found among its children: it was
//! seen before, or belongs to a group or session of the command's, or began with its environment. A process of
//! a sandbox that is none of these, in a session of its own, has taken pains to be nobody's, and is ended.
//!
//! The kernel holds two limits by itself: no file becomes larger than all may be together, and none leaves a core.
//! The rest is looked at, so it may be exceeded by what can be done between two looks.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group,
    waitid,
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

/// How long processes are ended for that start others all the time.
const LAST: Duration = Duration::from_secs(10);

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

    /// Watches the command that has just begun as process `id`, with `mark` in its environment, as one of those
    /// that share `budget`.
    pub fn begin(self: &Arc<Self>, id: Pid, mark: Option<String>, budget: &Arc<Budget>) -> Guard {
        adopt_orphans();
        restrain(id, budget);
        budget.begin();
        let watched =
            Watched { budget: budget.clone(), mark, known: HashMap::new(), measured: None };
        let mut state = self.state();
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
            end(&mut state, &over, End::All);
        }
        let left = shares.iter().filter_map(|share| share.budget.time_left()).min();
        let pause = (started.elapsed() * SHARE).clamp(SHORT, LONG);
        let pause = pause.min(left.unwrap_or(LONG).max(Duration::from_millis(1)));
        (!state.commands.is_empty()).then_some(pause)
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
        end(&mut state, &[self.id.as_raw_nonzero().get()], End::Left);
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

/// Has the kernel hold what it can of a budget, for a process and all that it will start.
fn restrain(id: Pid, budget: &Budget) {
    let most = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    let limits =
        [Some((Resource::Core, 0)), budget.allowance().disk.map(|disk| (Resource::Fsize, disk))];
    for (resource, limit) in limits.into_iter().flatten() {
        // It may have ended.
        let _ = rustix::process::prlimit(Some(id), resource, most(limit));
    }
    let own = rustix::process::getpriority_process(None).unwrap_or(0);
    let _ = rustix::process::setpriority_process(Some(id), (own + NICER).min(19));
    let _ = std::fs::write(format!("/proc/{}/oom_score_adj", id.as_raw_nonzero()), EXPENDABLE);
}

/// The processes of commands.
#[derive(Debug, Default)]
struct Families {
    /// By the id of the command's first process; that is among them while it runs.
    of: HashMap<i32, Vec<Seen>>,
    /// Those that hide.
    nobodys: Vec<Seen>,
}

/// Children of larder that are no command's first process.
fn orphans(state: &State) -> Vec<Pid> {
    let own = getpid();
    // The kernel gives orphans to the first thread.
    let children = tree::children_of_thread(own, own.as_raw_nonzero().get());
    children
        .into_iter()
        .filter(|id| !state.commands.contains_key(&id.as_raw_nonzero().get()))
        .collect()
}

/// Finds all processes of all commands, and remembers them.
fn families(state: &mut State) -> Families {
    let mut families = Families::default();
    let most = state.commands.values().filter_map(|it| it.budget.allowance().processes).max();
    // Enough to see that there are too many.
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let most = most.saturating_mul(4);
    for id in state.commands.keys() {
        let first = Pid::from_raw(*id).and_then(tree::look);
        families.of.insert(*id, descendants(first, most));
    }
    let own_session = rustix::process::getsid(None).map_or(0, |id| id.as_raw_nonzero().get());
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

/// Which processes of commands are to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All of them.
    All,
    /// Those that are left when the first one has ended.
    Left,
}

/// Ends processes of these commands, and does not return before they are gone. First they are stopped, since one that
/// runs may start others while they are being ended.
fn end(state: &mut State, commands: &[i32], which: End) {
    let started = Instant::now();
    let mut stopped = HashSet::new();
    let family = |state: &mut State| -> Vec<Seen> {
        let families = families(state);
        let of = |id: &i32| families.of.get(id).cloned().unwrap_or_default();
        // The first ones are waited for by whoever started them.
        let is_left =
            |seen: &Seen| !(seen.ended && commands.contains(&seen.id.as_raw_nonzero().get()));
        commands.iter().flat_map(of).filter(is_left).collect()
    };
    if which == End::All {
        // None of a group comes into being while it is told.
        commands.iter().filter_map(|id| Pid::from_raw(*id)).for_each(|group| {
            let _ = kill_process_group(group, Signal::STOP);
        });
    }
    let mut all = family(state);
    while started.elapsed() < LAST {
        let is_new = |seen: &&Seen| stopped.insert((seen.id.as_raw_nonzero(), seen.began));
        let new: Vec<&Seen> = all.iter().filter(is_new).collect();
        if new.is_empty() {
            break;
        }
        new.iter().for_each(|seen| signal(seen, Signal::STOP));
        all = family(state);
    }
    while !all.is_empty() && started.elapsed() < LAST {
        all.iter().for_each(|seen| signal(seen, Signal::KILL));
        thread::sleep(Duration::from_micros(200));
        all = family(state);
    }
    if !all.is_empty() {
        tracing::debug!("{} processes of commands are still listed", all.len());
    }
}

/// Fetches the status of an orphan that has ended, so that it is not listed any more.
fn fetch(state: &State, owner: Option<i32>, seen: &Seen) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    if let Ok(Some(_)) = waitid(WaitId::Pid(seen.id), options)
        && let Some(watched) = owner.and_then(|owner| state.commands.get(&owner))
    {
        watched.budget.add_cpu(seen.cpu);
    }
}

/// Tells a process, if it is still the one that was seen.
fn signal(seen: &Seen, signal: Signal) {
    // Until the descriptor is closed, no other process is meant by it.
    let handle = rustix::process::pidfd_open(seen.id, rustix::process::PidfdFlags::empty());
    let is_same = || tree::look(seen.id).is_some_and(|now| now.began == seen.began);
    match handle {
        Ok(handle) if is_same() => {
            let _ = rustix::process::pidfd_send_signal(handle, signal);
        }
        Ok(_) => {}
        Err(_) if is_same() => {
            let _ = kill_process(seen.id, signal);
        }
        Err(_) => {}
    }
}
