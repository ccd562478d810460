//! The system's errors about files, in words for people.

use std::io;

/// Says what went wrong and what to do about it, without the system's own numbers.
pub fn describe_io(error: &io::Error) -> String {
    let said = error.to_string();
    let said = said.split(" (os error ").next().unwrap_or(&said);
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return format!("{said} (a symbolic link is where a file should be: remove it)");
    }
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space and try again; what is built stays built"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "larder needs access to it: see who owns it, and how it is mounted"
        }
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "a file is where a directory should be: move it away"
        }
        io::ErrorKind::IsADirectory => "a directory is where a file should be: move it away",
        _ => return said.to_owned(),
    };
    format!("{said} ({help})")
}
