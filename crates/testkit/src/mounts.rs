//! Small, full and read-only file systems.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{run::under, tools::skip};

/// A small file system mounted for as long as this lives.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// An empty one in memory; `None` where mounting is not permitted, and the test is to end: see
    /// [`skip`].
    #[track_caller]
    pub fn tmpfs(directory: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(directory).unwrap();
        let mount = ["-t", "tmpfs", "-o", options, "tmpfs"];
        let status =
            Command::new("mount").args(mount).arg(directory).stderr(Stdio::null()).status();
        let mounted = status.is_ok_and(|status| status.success());
        (mounted || skip("mounting is not permitted here")).then(|| Self(directory.to_owned()))
    }

    /// Nothing can be written to it any more.
    pub fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(&self.0).status();
    }
}

/// `command` after `mount`, a script, was run in a mount namespace of its own, which is gone afterwards.
/// `None` where that is not permitted, and the test is to end: see [`skip`].
#[track_caller]
pub fn with_mount(mount: &str, command: &Command) -> Option<Command> {
    let namespaces: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];
    let allowed = namespaces.into_iter().find(|flags| {
        let mut probe = Command::new("unshare");
        let probe = probe.args(*flags).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        probe.is_ok_and(|output| output.status.success())
    });
    let Some(flags) = allowed else {
        skip("nothing can be mounted here");
        return None;
    };
    let script = format!("{mount}\nexec \"$@\"");
    Some(under(&[&["unshare"], flags, &["sh", "-ec", &script, "sh"]].concat(), command))
}
