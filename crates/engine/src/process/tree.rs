//! Processes as Linux lists them in `/proc`.

use std::{fs, io::Read, path::Path, sync::LazyLock, time::Duration};

use rustix::process::Pid;

/// So many ticks of the kernel's clock are a second, for everybody who reads `/proc`.
const TICKS: u64 = 100;

/// A process as it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub id: Pid,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// When it began, in ticks since the machine's start: with the id, it tells processes apart.
    pub began: u64,
    pub threads: u64,
    /// Whether it has ended, and only its status is left.
    pub ended: bool,
    pub cpu: Duration,
}

/// Looks at a process.
pub fn look(id: Pid) -> Option<Seen> {
    let text = read(&format!("/proc/{}/stat", id.as_raw_nonzero()))?;
    parse(id, &text)
}

fn parse(id: Pid, text: &str) -> Option<Seen> {
    // After the name, which may have anything in it.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let mut number = |skipped: usize| fields.nth(skipped)?.parse::<u64>().ok();
    let (parent, group, session) = (number(0)?, number(0)?, number(0)?);
    // Of the fields of `proc_pid_stat(5)`: 14 and 15, 20, 22.
    let (user, system) = (number(7)?, number(0)?);
    let (threads, began) = (number(4)?, number(1)?);
    Some(Seen {
        id,
        parent: i32::try_from(parent).ok()?,
        group: i32::try_from(group).ok()?,
        session: i32::try_from(session).ok()?,
        began,
        threads,
        ended: matches!(state, "Z" | "X"),
        cpu: Duration::from_millis((user + system) * 1000 / TICKS),
    })
}

/// The children of one thread of a process. Where the kernel does not list them, all processes are looked at.
pub fn children_of_thread(process: Pid, thread: i32) -> Vec<Pid> {
    match read(&format!("/proc/{}/task/{thread}/children", process.as_raw_nonzero())) {
        Some(list) => {
            list.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
        }
        None if lists_children() => Vec::new(),
        None => of_parent(process),
    }
}

/// The children of a process.
pub fn children(process: &Seen) -> Vec<Pid> {
    let id = process.id.as_raw_nonzero().get();
    if process.threads <= 1 || !lists_children() {
        return children_of_thread(process.id, id);
    }
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok());
    threads.flat_map(|thread| children_of_thread(process.id, thread)).collect()
}

/// Whether the kernel lists the children of processes.
fn lists_children() -> bool {
    static LISTS: LazyLock<bool> = LazyLock::new(|| {
        let own = std::process::id();
        Path::new(&format!("/proc/{own}/task/{own}/children")).exists()
    });
    *LISTS
}

fn of_parent(parent: Pid) -> Vec<Pid> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|it| Pid::from_raw(it.file_name().to_str()?.parse().ok()?));
    let is_child = |seen: &Seen| seen.parent == parent.as_raw_nonzero().get();
    all.filter_map(look).filter(is_child).map(|seen| seen.id).collect()
}

/// How much memory a process has, in bytes; what it shares counts whole, and so does what it has of files.
pub fn resident(id: Pid) -> u64 {
    let pages = || {
        let text = read(&format!("/proc/{}/statm", id.as_raw_nonzero()))?;
        text.split(' ').nth(1)?.parse::<u64>().ok()
    };
    pages().unwrap_or(0) * *PAGE
}

/// The size of a page of memory, as the kernel tells each program that it starts.
static PAGE: LazyLock<u64> = LazyLock::new(|| {
    const AT_PAGESZ: u64 = 6;
    let told = fs::read("/proc/self/auxv").unwrap_or_default();
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).ok();
    let found = told.chunks_exact(16).find(|pair| word(&pair[..8]) == Some(AT_PAGESZ));
    found.and_then(|pair| word(&pair[8..])).unwrap_or(4096)
});

/// How much memory a process has, in bytes; what it shares counts in equal parts. What it has of files does not
/// count: the kernel can take that back. This takes a while; `None` where it is not told.
pub fn proportional(id: Pid) -> Option<u64> {
    let text = read(&format!("/proc/{}/smaps_rollup", id.as_raw_nonzero()))?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let kib = value("Pss_Anon:")? + value("Pss_Shmem:").unwrap_or(0);
    Some(kib * 1024)
}

/// Whether `variable`, as `NAME=VALUE`, is in the environment that a process began with.
pub fn began_with(id: Pid, variable: &str) -> bool {
    let path = format!("/proc/{}/environ", id.as_raw_nonzero());
    let mut environment = Vec::new();
    // Of any size: it is what the process makes of it.
    let opened = fs::File::open(path);
    let read = opened.and_then(|file| file.take(1 << 20).read_to_end(&mut environment));
    read.is_ok() && environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes())
}

/// By how many filters of system calls a process is bound: in a sandbox by some, for good.
pub fn filters(id: Pid) -> u64 {
    let status = read(&format!("/proc/{}/status", id.as_raw_nonzero())).unwrap_or_default();
    let count = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let text =
            "42 (a ) S 1 (b) R 7 42 40 0 -1 4194304 1 2 3 4 150 50 8 9 20 0 3 0 12345 1000 5 x\n";
        let seen = parse(Pid::from_raw(42).unwrap(), text).unwrap();
        assert_eq!((seen.parent, seen.group, seen.session), (7, 42, 40));
        assert_eq!((seen.threads, seen.began, seen.ended), (3, 12345, false));
        assert!(seen.cpu > Duration::from_millis(100));
    }

    #[test]
    fn this_process_has_memory_and_no_filters() {
        let own = rustix::process::getpid();
        let seen = look(own).unwrap();
        assert!(seen.threads >= 1 && !seen.ended);
        let (about, exactly) = (resident(own), proportional(own).unwrap());
        assert!(about > 100_000 && exactly > 100_000, "{about} {exactly}");
        assert!(!began_with(own, "LARDER_NO_SUCH_VARIABLE=1"));
    }
}
