//! How the engine's threads wait for a server: a thread of its own moves bytes, and whoever waits is told when to stop.

use std::{cell::Cell, io, sync::Arc, time::Duration};

use larder_engine::{executor::ExecuteError, process::Processes};
use tokio::{runtime::Runtime, sync::watch};

use crate::execution::Stop;

/// How often is looked whether the build is being ended.
const LOOK: Duration = Duration::from_millis(50);

/// How long an action has to end when it is to stop.
const FAREWELL: Duration = Duration::from_millis(1500);

/// The thread that moves bytes, and whether the build is being ended.
pub struct Network {
    stop: Stop,
    runtime: Runtime,
}

impl Network {
    /// Starts the thread. All that waits is told to stop when `processes` is interrupted.
    ///
    /// # Errors
    /// There are no threads for it.
    pub fn start(processes: Arc<Processes>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // Whoever waits for bytes decodes and hashes them.
            .worker_threads(1)
            .thread_name("larder remote")
            .enable_all()
            .build()?;
        let (end, stop) = watch::channel(false);
        runtime.spawn(async move {
            while !processes.interrupted() {
                tokio::time::sleep(LOOK).await;
            }
            // Nobody may be left who listens.
            let _ = end.send(true);
        });
        Ok(Self { stop, runtime })
    }

    /// Does `work`, which may begin tasks, and waits for none.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _inside = self.runtime.enter();
        work()
    }

    /// Does `work` until the build is being ended, or for as long as there is patience; then it is told to stop, and has a
    /// moment to end by itself.
    ///
    /// # Errors
    /// Those of the work; or it was interrupted, or declined for want of patience.
    pub fn wait<T>(
        &self,
        patience: Option<Duration>,
        work: impl AsyncFnOnce(Stop) -> Result<T, ExecuteError>,
    ) -> Result<T, ExecuteError> {
        let mut all = self.stop.clone();
        let (end, stop) = watch::channel(false);
        let late = Cell::new(false);
        let ending = async {
            tokio::select! {
                // Nobody ends a build whose executor is gone.
                Ok(_) = all.wait_for(|stop| *stop) => {}
                () = tokio::time::sleep(patience.unwrap_or(Duration::MAX)) => late.set(true),
            }
            // Nobody may listen any more.
            let _ = end.send(true);
            tokio::time::sleep(FAREWELL).await;
        };
        let done = self.runtime.block_on(async {
            tokio::select! {
                biased;
                done = work(stop) => done,
                () = ending => Err(ExecuteError::Interrupted),
            }
        });
        match done {
            Err(ExecuteError::Interrupted) if late.get() => {
                let reason = "it took longer there than the build may take";
                Err(ExecuteError::Declined(reason.to_owned()))
            }
            done => done,
        }
    }
}
