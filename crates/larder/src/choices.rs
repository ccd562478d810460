//! Options that decide what of the manifests holds, for every command that reads them to build.

use clap::Args;
use larder_project::{
    setting::{Choice, Choices},
    triple::Triple,
};

/// What whoever builds chooses.
#[derive(Args, Clone, Default)]
pub struct ChoiceArgs {
    /// Give an option of the manifest a value: [PACKAGE/]NAME=VALUE; may be repeated
    #[arg(long = "option", value_name = "NAME=VALUE")]
    options: Vec<Choice>,
    /// Build with the arguments of this profile, in a directory of its own: debug, release, asan, ubsan,
    /// tsan, or one of the manifest
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Build for another machine, in a directory of its own: aarch64-linux-gnu, x86_64-w64-mingw32
    #[arg(long, value_name = "TRIPLE")]
    target: Option<Triple>,
}

impl ChoiceArgs {
    /// Returns the choices as values.
    pub fn choices(&self) -> Choices {
        Choices {
            options: self.options.clone(),
            profile: self.profile.clone(),
            target: self.target.clone(),
        }
    }
}
