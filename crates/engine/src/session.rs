//! Sessions: what the builds of one process share.
//!
//! Settings are read once, at the top, and handed in. The store with its services is opened when the
//! first build needs it, and all builds run their tasks in one pool, so that together they run no more
//! commands, fetches and remote actions at once than the session may.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use larder_store::Store;

use crate::{
    cache::{StoreSettings, open_store},
    environment::Environment,
    executor::{Executor, LocalExecutor, SandboxedExecutor},
    jobserver::{Jobs, Jobserver, Token},
    pool::{Lane, Pool, Slots},
    process::{Budget, Processes},
    sandbox::Sandbox,
    timeline::Timeline,
};

/// The settings of a session.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How many commands, fetches and remote actions may run at once.
    pub slots: Slots,
    /// The environment of whoever builds.
    pub environment: Arc<Environment>,
    /// The store and its services.
    pub store: StoreSettings,
    /// The directory that messages name files from, absolute; each build's root package when absent.
    pub here: Option<PathBuf>,
    /// The jobserver above this process, if there is one.
    pub jobserver: Option<Arc<Jobserver>>,
    /// Takes note of where the time goes, if anybody wants to know.
    pub timeline: Option<Arc<Timeline>>,
}

/// The things that the builds of one process share: settings, store, executors, and how much may run at once.
pub struct Session {
    /// Its settings.
    pub settings: Settings,
    /// The commands that run.
    pub processes: Arc<Processes>,
    pool: Arc<Pool>,
    jobs: Arc<Jobs>,
    store: Arc<OnceLock<Option<Arc<Store>>>>,
    /// What commands take together, where that is limited.
    budget: Option<Arc<Budget>>,
    /// The executor that runs actions instead of this machine.
    executor: Option<Arc<dyn Executor>>,
    /// The executor that is asked before this machine.
    cluster: Option<Arc<dyn Executor>>,
}

impl Session {
    /// Begins a session. `processes` lets a signal handler end the commands that run.
    pub fn new(settings: Settings, processes: Arc<Processes>) -> Arc<Self> {
        Self::begin(settings, processes, None)
    }

    /// Begins a session whose actions `executor` runs, sandboxed or not as it pleases.
    pub fn with_executor(
        settings: Settings,
        processes: Arc<Processes>,
        executor: Arc<dyn Executor>,
    ) -> Arc<Self> {
        Self::begin(settings, processes, Some(executor))
    }

    fn begin(
        settings: Settings,
        processes: Arc<Processes>,
        executor: Option<Arc<dyn Executor>>,
    ) -> Arc<Self> {
        let pool = Pool::new(settings.slots);
        let jobs = Arc::new(Jobs::new(settings.jobserver.clone(), settings.slots.local.max(1)));
        let store = Arc::default();
        let (budget, cluster) = (None, None);
        Arc::new(Self { settings, processes, pool, jobs, store, budget, executor, cluster })
    }

    /// Begins a session in which `cluster` is asked to run actions before this machine does: what it declines is done
    /// here. It shares all else with this one.
    #[must_use]
    pub fn asking(&self, cluster: Arc<dyn Executor>) -> Arc<Self> {
        Arc::new(Self { cluster: Some(cluster), ..self.shared() })
    }

    /// Returns the executor that is asked before this machine, if one is.
    pub fn cluster(&self) -> Option<&Arc<dyn Executor>> {
        self.cluster.as_ref()
    }

    /// Begins a session in which commands, compilers and `pkg-config` get `environment` in place of this one's. It
    /// shares all else, so that both together run no more at once than one may.
    #[must_use]
    pub fn in_environment(&self, environment: Arc<Environment>) -> Arc<Self> {
        let settings = Settings { environment, ..self.settings.clone() };
        Arc::new(Self { settings, ..self.shared() })
    }

    /// Begins a session whose commands share an allowance: those of one build, say. It shares all else with this one.
    /// A session's own executor is to hold limits by itself.
    #[must_use]
    pub fn within(&self, budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget: Some(budget), ..self.shared() })
    }

    /// Returns how long an action on another machine may take: as long as the commands of a build that runs within
    /// an allowance.
    pub fn patience(&self) -> Option<Duration> {
        self.budget.as_ref()?.allowance().time
    }

    /// The same session once more.
    fn shared(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            processes: self.processes.clone(),
            pool: self.pool.clone(),
            jobs: self.jobs.clone(),
            store: self.store.clone(),
            budget: self.budget.clone(),
            executor: self.executor.clone(),
            cluster: self.cluster.clone(),
        }
    }

    /// Returns the pool that all tasks run in.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Does `work` in a slot for commands of this machine, when there is one. This thread takes part in what else is to
    /// be done meanwhile.
    ///
    /// # Errors
    /// The message, when it panics.
    pub fn in_slot<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let group = Arc::default();
        let result = Arc::new(Mutex::new(None));
        let kept = result.clone();
        let task = move || {
            let done = work();
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        };
        self.pool.queue(&group, Lane::Local, Box::new(task), false);
        self.pool.work_for(&group);
        let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        done.ok_or_else(|| group.panics().join("; "))
    }

    /// Returns the tokens of commands, `most` of them, that nobody holds now: for a command that runs several others by
    /// itself. It takes one more when it runs; so whoever holds these gives one back first, or two might wait for each other.
    pub fn spare_tokens(&self, most: usize) -> Vec<Token<'_>> {
        let jobserver = self.jobs.get();
        let tokens = jobserver.into_iter().flat_map(|it| std::iter::from_fn(|| it.try_acquire()));
        tokens.take(most).collect()
    }

    /// Returns the store, opened when it is first asked for; `None` when there is none to be had, which
    /// is said at info.
    pub fn store(&self) -> Option<&Arc<Store>> {
        let open = || {
            open_store(&self.settings.store)
                .inspect_err(|error| tracing::info!("building without the artifact cache: {error}"))
                .ok()
                .map(Arc::new)
        };
        self.store.get_or_init(open).as_ref()
    }

    /// Returns the session's own executor, or else one for this machine, which confines what it runs by
    /// `sandbox` where there is one.
    pub fn executor(&self, sandbox: Option<Arc<Sandbox>>) -> Arc<dyn Executor> {
        if let Some(executor) = &self.executor {
            return executor.clone();
        }
        let environment = self.settings.environment.clone();
        let local = LocalExecutor::new(self.processes.clone(), environment)
            .sharing(self.jobs.clone(), self.settings.timeline.clone())
            .within(self.budget.clone());
        match sandbox {
            None => Arc::new(local),
            Some(sandbox) => Arc::new(SandboxedExecutor::new(local, sandbox)),
        }
    }
}
