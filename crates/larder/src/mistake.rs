//! Panics, which are mistakes in larder: said like any failure, and nothing is left behind.

use std::{
    any::Any,
    io::{self, Write},
    panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use larder_engine::{environment::Environment, process::Processes};
use rustix::process::Signal;

use crate::{exit::Failure, ui::Ui};

/// Where larder panicked so far.
static PLACES: Mutex<Vec<String>> = Mutex::new(Vec::new());

const ADVICE: &str = "please report this, with the command and what `larder --version` prints";

fn places() -> MutexGuard<'static, Vec<String>> {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, panics are only noted, unless `RUST_BACKTRACE` asks for more. Printing one where it
/// happens would break into the live line, and could wait for ever for a lock that the printer holds.
pub fn note_panics(environment: &Environment) {
    let wanted = environment.get("RUST_BACKTRACE").is_some_and(|value| value != "0");
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        places().extend(panic.location().map(ToString::to_string));
        if wanted {
            print(panic);
        }
    }));
}

/// Does `work`. If it panics, the commands that run are ended, and the panic is a failure.
pub fn contained<T>(
    processes: &Processes,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        end(processes);
        let text = format!("internal error in larder: {}", message(&*panic));
        Err(Failure::failed(text).hint(ADVICE))
    })
}

/// Ends the commands that run, and any that is just starting.
fn end(processes: &Processes) {
    const ATTEMPTS: u32 = 100;
    let mut quiet = 0;
    for _ in 0..ATTEMPTS {
        quiet = if processes.interrupt(Signal::KILL) { 0 } else { quiet + 1 };
        if quiet == 3 {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Says why a command failed, and where larder panicked meanwhile if it did.
pub fn print(failure: Option<&Failure>, ui: &Ui) {
    let said = catch_unwind(AssertUnwindSafe(|| {
        ui.clear();
        if let Some(failure) = failure {
            failure.print(ui);
        }
    }));
    let places = std::mem::take(&mut *places());
    // Standard error itself: what prints may be what panicked. Nobody is left to tell when it is gone.
    let mut output = io::stderr().lock();
    if let (Err(_), Some(failure)) = (said, failure) {
        _ = writeln!(output, "error: {failure}\n  help: {ADVICE}");
    }
    if !places.is_empty() {
        _ = writeln!(output, "larder panicked at {}", places.join(", "));
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use larder_engine::{
        build::{self, BuildRequest},
        cache::{CacheOptions, StoreSettings},
        context::{Mode, Options},
        event::{Event, Reporter, Status},
        pool::Slots,
        process::{Limits, ProcessError, Spec},
        session::{Session, Settings},
    };
    use larder_project::dependencies::Resolution;

    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_panic_is_a_failure_that_says_so() {
        let none = Processes::default();
        for (work, text) in [
            ((|| panic!("out of cheese")) as fn(), "internal error in larder: out of cheese"),
            (|| panic!("out of {}", "ham"), "internal error in larder: out of ham"),
            (|| panic::panic_any(7), "internal error in larder: a panic without a message"),
        ] {
            let failed = contained(&none, || {
                work();
                Ok(())
            });
            let failure = failed.unwrap_err();
            assert_eq!((failure.exit, failure.to_string().as_str()), (Exit::Failed, text));
        }
        let failure = contained(&none, || Err::<(), _>(Failure::wrong("no"))).unwrap_err();
        assert_eq!((failure.exit, failure.to_string().as_str()), (Exit::Wrong, "no"));
    }

    #[test]
    fn commands_do_not_outlive_a_panic() {
        let directory = tempfile::tempdir().unwrap();
        let started = directory.path().join("started");
        let spec = Spec {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), ": > started; exec sleep 1000".to_owned()],
            directory: directory.path().to_owned(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".into())],
            response_file: None,
            limits: Limits::default(),
            budget: None,
            terminal: false,
        };
        let processes = Processes::default();
        thread::scope(|scope| {
            let command = scope.spawn(|| processes.run(&spec, None));
            let panics = || -> Result<(), Failure> {
                while !started.exists() {
                    thread::sleep(Duration::from_millis(5));
                }
                panic!("with a command running");
            };
            assert!(contained(&processes, panics).is_err());
            // It returns when the command's group is gone.
            let ended = command.join().unwrap();
            assert!(matches!(ended, Err(ProcessError::Interrupted)), "{ended:?}");
        });
    }

    /// Panics when it hears that a target was skipped, which the thread that asked for the build tells.
    struct Clumsy;

    impl Reporter for Clumsy {
        fn event(&self, event: &Event<'_>) {
            let Event::Ended { ended, .. } = event else { return };
            assert!(ended.status != Status::Skipped, "the printer is on fire");
        }
    }

    struct Silent;

    impl Reporter for Silent {
        fn event(&self, _: &Event<'_>) {}
    }

    fn request(directory: &Path) -> BuildRequest {
        BuildRequest {
            directory: directory.to_owned(),
            targets: Vec::new(),
            options: Options { mode: Mode::Build, ..Options::default() },
            cache: CacheOptions::default(),
            sandbox: None,
            resolution: Resolution::default(),
            choices: Default::default(),
            configuration: None,
            tests: None,
            run_path: None,
        }
    }

    #[test]
    fn a_reporter_that_panics_ends_its_build_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let manifest = |run: &str| {
            let text = format!(
                "[package]\nname = \"p\"\n\n\
                 [[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"{run}\", \"{{out}}\"]\n\n\
                 [[command]]\nname = \"b\"\ninputs = [\"{{build}}/a\"]\noutputs = [\"b\"]\n\
                 run = [\"touch\", \"{{out}}\"]\n"
            );
            fs::write(directory.path().join("larder.toml"), text).unwrap();
        };
        let environment = [("PATH", "/usr/bin:/bin")].into_iter().collect();
        let settings = Settings {
            slots: Slots { local: 2, ..Slots::default() },
            environment: Arc::new(environment),
            store: StoreSettings { off: true, ..StoreSettings::default() },
            ..Settings::default()
        };
        let session = Session::new(settings, Arc::default());
        let build = |reporter: Arc<dyn Reporter>| {
            contained(&Processes::default(), || {
                let report = build::build(&session, &request(directory.path()), &reporter)?;
                Ok(report.succeeded())
            })
        };
        manifest("false");
        let failure = build(Arc::new(Clumsy)).unwrap_err();
        assert_eq!(failure.to_string(), "internal error in larder: the printer is on fire");
        // The lock of the build directory has been given back, and the session still builds.
        manifest("touch");
        assert!(build(Arc::new(Silent)).unwrap());
    }
}
