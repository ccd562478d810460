//! An executor and an action cache: actions are looked for on a server, run there, or declined.
//!
//! Whatever goes wrong, the action is declined, and this machine runs it. So a server can only make a build faster, and
//! every failure of a command that anybody sees has happened here.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    blobs::Known,
    channel::ConnectError,
    client::Client,
    error::Error,
    execution::Stop,
    files::Files,
    network::Network,
    outcome::{Taking, Unusable},
    request::{OTHER_SYSTEM, Request},
    settings::Settings,
    toolchain::{System, Toolchains},
    upload::{Kept, kept},
    workers::{Asking, Workers},
};
use larder_engine::{
    action::Action,
    executor::{Bench, ExecuteError, Execution, Executor, Ran},
    pool::Lane,
    process::Processes,
};

/// How often one action is tried there in all, when its inputs or outputs get lost.
const ATTEMPTS: usize = 3;

/// Runs actions on a server, and finds what comes of them there.
pub struct RemoteExecutor {
    client: Client,
    settings: Settings,
    /// What the server is called, for people.
    name: String,
    known: Known,
    files: Files,
    workers: Workers,
    /// Whether workers were seen to have other files of the system.
    other_system: AtomicBool,
    toolchains: Toolchains,
    said: Said,
    network: Network,
}

/// What is said once.
#[derive(Default)]
struct Said {
    given_up: AtomicBool,
    sends_tools: AtomicBool,
    other_machine: AtomicBool,
    no_execution: AtomicBool,
    no_results: AtomicBool,
}

/// What came of asking a server for an action.
enum Performed {
    /// It ran there, or was known.
    Done(Execution),
    /// It would not be the same there as here.
    Elsewhere(Difference),
}

/// What workers have other than this machine.
#[derive(Debug, thiserror::Error)]
enum Difference {
    /// A tool.
    #[error("another {0}")]
    Tool(String),
    /// What compiles read of the system.
    #[error("other headers of the system")]
    System,
}

/// Why a server cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its settings cannot be used.
    #[error(transparent)]
    Settings(#[from] ConnectError),
    /// There are no threads for it.
    #[error("cannot start a thread: {0}")]
    Threads(io::Error),
}

fn declined(reason: impl ToString) -> ExecuteError {
    ExecuteError::Declined(reason.to_string())
}

impl RemoteExecutor {
    /// An executor that asks the server of `settings`, called `name`. It ends when `processes` is interrupted.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn open(
        settings: Settings,
        name: String,
        processes: Arc<Processes>,
    ) -> Result<Self, OpenError> {
        let network = Network::start(processes).map_err(OpenError::Threads)?;
        let client = network.enter(|| Client::new(&settings))?;
        Ok(Self {
            client,
            settings,
            name,
            known: Known::default(),
            files: Files::default(),
            workers: Workers::default(),
            other_system: AtomicBool::new(false),
            toolchains: Toolchains::default(),
            said: Said::default(),
            network,
        })
    }

    /// Looks for what comes of an action, or has a worker run it: with its own tools, or with those that are `sent`.
    async fn perform(
        &self,
        action: &Action,
        bench: &Bench<'_>,
        request: &Request,
        sent: Option<&System>,
        mut stop: Stop,
    ) -> Result<Performed, ExecuteError> {
        let taking = Taking { client: &self.client, files: &self.files, action, bench, request };
        let mut again = false;
        let paths: Vec<String> = request.outputs.iter().map(|it| it.path().to_owned()).collect();
        match self.client.result(request.digest, &paths).await {
            Ok(Some(result)) => match taking.take(&result, Ran::RemoteCache).await {
                Ok(execution) => return Ok(Performed::Done(execution)),
                // Somebody wrote it who should not have, or it is not whole any more: a miss.
                Err(unusable) => {
                    tracing::debug!("{}: a result is of no use: {unusable}", self.name);
                    again = true;
                }
            },
            Ok(None) => {}
            Err(error) => return Err(self.lost(error)),
        }
        if let Some(difference) = self.check_workers(bench, request, sent, &stop).await? {
            return Ok(Performed::Elsewhere(difference));
        }
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let sent = self.client.ensure(&self.known, &request.blobs).await;
            sent.map_err(|error| self.lost(error))?;
            let executed = match self.client.execute(request.digest, again, &mut stop).await {
                Ok(executed) => executed,
                Err(Error::Missing(missing)) => {
                    // It had them, or said so.
                    match missing.is_empty() {
                        true => self.forget(request),
                        false => self.known.forget(&missing),
                    }
                    "its inputs got lost there".clone_into(&mut reason);
                    continue;
                }
                Err(error) => return Err(self.lost(error)),
            };
            if executed.result.exit_code == OTHER_SYSTEM {
                self.other_system.store(true, Ordering::Relaxed);
                return Ok(Performed::Elsewhere(Difference::System));
            }
            let ran = if executed.cached { Ran::RemoteCache } else { Ran::Remote };
            match taking.take(&executed.result, ran).await {
                Ok(execution) => return Ok(Performed::Done(execution)),
                Err(Unusable::Wrong(why)) if !executed.cached => return Err(declined(why)),
                Err(unusable) => {
                    reason = unusable.to_string();
                    again = true;
                }
            }
        }
        Err(declined(reason))
    }

    async fn upload(
        &self,
        action: &Action,
        bench: &Bench<'_>,
        request: &Request,
        execution: &Execution,
    ) -> Result<(), String> {
        let describe = |error: Error| error.to_string();
        if !self.client.abilities().await.map_err(describe)?.takes_results {
            self.say(&self.said.no_results, || {
                format!("{} takes no results: nothing is uploaded", self.name)
            });
            return Ok(());
        }
        let Kept { result, mut blobs } = kept(action, bench, request, execution, &self.files)?;
        // Servers may look at the messages that a result belongs to.
        let messages = request.blobs.iter().rev().take(2);
        blobs.extend(messages.cloned());
        self.client.ensure(&self.known, &blobs).await.map_err(describe)?;
        self.client.keep_result(request.digest, &result).await.map_err(describe)
    }

    fn forget(&self, request: &Request) {
        let all: Vec<_> = request.blobs.iter().map(|blob| blob.digest).collect();
        self.known.forget(&all);
    }

    /// Sees that the server runs actions, and returns what its workers have other than this machine.
    async fn check_workers(
        &self,
        bench: &Bench<'_>,
        request: &Request,
        sent: Option<&System>,
        stop: &Stop,
    ) -> Result<Option<Difference>, ExecuteError> {
        if !self.settings.executes {
            return Err(declined("nothing is to run there"));
        }
        if sent.is_none() && self.other_system.load(Ordering::Relaxed) {
            return Ok(Some(Difference::System));
        }
        let abilities = self.client.abilities().await.map_err(|error| self.lost(error))?;
        if !abilities.executes {
            self.say(&self.said.no_execution, || {
                format!("{} runs no actions: it is used as a cache", self.name)
            });
            return Err(declined("it runs no actions"));
        }
        let asking = Asking {
            client: &self.client,
            known: &self.known,
            files: &self.files,
            platform: &self.settings.platform,
            sent,
        };
        for program in &request.programs {
            let have = self.workers.have(program.as_ref(), bench.tools, &asking, stop).await;
            if !have.map_err(|error| self.lost(error))? {
                return Ok(Some(Difference::Tool(program.clone())));
            }
        }
        Ok(None)
    }

    /// Says once that the server is a cache, and declines.
    fn differs(&self, difference: &Difference, sent: bool) -> ExecuteError {
        let name = &self.name;
        self.say(&self.said.other_machine, || match (sent, difference) {
            (true, _) => format!(
                "the workers of {name} do not run the tools that are sent to them: the server is \
                 used as a cache"
            ),
            (false, Difference::Tool(tool)) => format!(
                "the workers of {name} have another {tool} than this machine, or none: the server \
                 is used as a cache"
            ),
            (false, Difference::System) => format!(
                "the workers of {name} have other headers of the system than this machine: the \
                 server is used as a cache"
            ),
        });
        declined(format!("its workers have {difference}"))
    }

    fn request(
        &self,
        action: &Action,
        bench: &Bench<'_>,
        sent: Option<&System>,
    ) -> Result<Request, ExecuteError> {
        Request::new(action, bench, &self.files, &self.settings.platform, sent)
    }

    /// What an error of the server means for an action.
    fn lost(&self, error: Error) -> ExecuteError {
        match error {
            Error::Interrupted => ExecuteError::Interrupted,
            error => {
                self.say_if_given_up();
                declined(error)
            }
        }
    }

    fn say_if_given_up(&self) {
        if let Some(reason) = self.client.breaker.given_up() {
            self.say(&self.said.given_up, || format!("going on without {}: {reason}", self.name));
        }
    }

    fn say(&self, said: &AtomicBool, message: impl FnOnce() -> String) {
        if !said.swap(true, Ordering::Relaxed) {
            tracing::info!("{}", message());
        }
    }
}

impl Executor for RemoteExecutor {
    fn execute(&self, action: &Action, bench: &Bench<'_>) -> Result<Execution, ExecuteError> {
        if let Some(reason) = self.client.breaker.given_up() {
            self.say_if_given_up();
            return Err(declined(reason));
        }
        let request = self.request(action, bench, None)?;
        let performed = self.network.wait(bench.patience, async |stop| {
            self.perform(action, bench, &request, None, stop).await
        })?;
        let difference = match performed {
            Performed::Done(execution) => return Ok(execution),
            Performed::Elsewhere(difference) if !self.settings.sends_tools => {
                return Err(self.differs(&difference, false));
            }
            Performed::Elsewhere(difference) => difference,
        };
        self.say(&self.said.sends_tools, || {
            format!(
                "the workers of {} have {difference} than this machine, or none: its own are sent",
                self.name
            )
        });
        let tools = self.toolchains.of(&request.programs, bench.tools, &self.files);
        let tools = tools.map_err(declined)?;
        let request = self.request(action, bench, Some(&tools))?;
        let performed = self.network.wait(bench.patience, async |stop| {
            self.perform(action, bench, &request, Some(&tools), stop).await
        })?;
        match performed {
            Performed::Done(execution) => Ok(execution),
            Performed::Elsewhere(difference) => Err(self.differs(&difference, true)),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Remote
    }

    fn keep(&self, action: &Action, bench: &Bench<'_>, execution: &Execution) {
        if !self.settings.upload || self.client.breaker.given_up().is_some() {
            return;
        }
        let Ok(request) = self.request(action, bench, None) else { return };
        let uploaded = self.network.wait(bench.patience, async |_| {
            self.upload(action, bench, &request, execution).await.map_err(declined)
        });
        if let Err(error) = uploaded {
            tracing::debug!("{}: a result was not kept: {error}", self.name);
            self.say_if_given_up();
        }
    }
}
