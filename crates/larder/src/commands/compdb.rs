//! `compdb`.

use clap::Args;
use larder_engine::{
    compdb::{self, CompdbError},
    context::Mode,
};

use super::{
    App,
    build::{BuildOptions, request},
};
use crate::{
    choices::ChoiceArgs,
    exit::{Exit, Failure},
};

/// Write compile_commands.json for editors; builds keep it current from then on
#[derive(Args)]
pub struct Compdb {
    /// Print it and write nothing
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    choices: ChoiceArgs,
}

/// Runs `larder compdb`.
pub fn compdb(app: &App, arguments: &Compdb) -> Result<Exit, Failure> {
    let options = BuildOptions::default().choosing(&arguments.choices);
    let request = request(app, &[], &options, Mode::DryRun);
    let session = app.session(None);
    if arguments.print {
        let text = compdb::commands(&session, &request)?;
        app.ui.result(String::from_utf8_lossy(&text).trim_end());
        return Ok(Exit::Done);
    }
    let file = compdb::write(&session, &request)?.display().to_string();
    app.ui.event_json(&serde_json::json!({ "event": "compdb", "file": file }));
    app.ui.status(&format!("wrote {file}"));
    Ok(Exit::Done)
}

impl From<CompdbError> for Failure {
    fn from(error: CompdbError) -> Self {
        match error {
            CompdbError::Engine(error) => error.into(),
            error => Self::failed(error),
        }
    }
}
