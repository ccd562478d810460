//! Arguments: every command and flag, declared once.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Builds packages by content trace, keeps every artifact in a verified cache, and records what a
/// package ecosystem built.
#[derive(Parser)]
#[command(name = "larder", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Args)]
pub struct Global {
    /// Work as if started in DIR
    #[arg(short = 'C', id = "work-in", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Print only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: what is up to date, which commands run and why
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colours
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: ColorChoice,
    /// Use no network; LARDER_OFFLINE=1 does the same
    #[arg(long, global = true)]
    pub offline: bool,
    /// Fail when larder.lock would have to change
    #[arg(long, global = true)]
    pub locked: bool,
    /// Print events on standard output, one JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// When to use colours. `auto` honours `NO_COLOR` and asks whether standard error is a terminal.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// One of larder's commands; each has its module in [`crate::commands`].
#[derive(Subcommand)]
pub enum Command {
    Init(commands::scaffold::Init),
    Build(commands::build::Build),
    Query(commands::build::Query),
    #[command(visible_alias = "exec")]
    Run(commands::run::Run),
    Test(commands::test::Test),
    Why(commands::why::Why),
    Graph(commands::graph::Graph),
    Ninja(commands::ninja::Ninja),
    Install(commands::install::Install),
    Watch(commands::watch::Watch),
    Compdb(commands::compdb::Compdb),
    Update(commands::update::Update),
    /// Make keys from all that decides a result, and skip jobs whose result is known
    #[command(subcommand)]
    Ci(commands::ci::Command),
    Clean(commands::scaffold::Clean),
    /// Carry artifacts between stores, staging directories and services
    #[command(subcommand)]
    Cache(commands::cache::Command),
    Batch(commands::batch::Batch),
    Rerun(commands::batch::Rerun),
    Cascade(commands::batch::Cascade),
    Bisect(commands::bisect::Bisect),
    Runs(commands::runs::Runs),
    Status(commands::status::Status),
    Changes(commands::changes::Changes),
    Failures(commands::failures::Failures),
    History(commands::history::History),
    Log(commands::log::Log),
    Locks(commands::upkeep::Locks),
    Gc(commands::upkeep::Gc),
    Notify(commands::notify::Notify),
    Serve(commands::serve::Serve),
}
