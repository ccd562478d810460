//! How much memory there is for all processes together.

use std::{fs, path::Path};

/// Returns how much memory this process and others that it starts may have, in bytes: what the machine has, or less where a
/// control group of this process has a limit. `u64::MAX` where that is not known.
pub fn memory() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let machine = of_machine(&read(Path::new("/proc/meminfo")));
    let cgroup = read(Path::new("/proc/self/cgroup"));
    let limit = |group: &Path| {
        let path = Path::new("/sys/fs/cgroup").join(group).join("memory.max");
        // It is `max` where there is none.
        read(&path).trim().parse().ok()
    };
    let limits = groups(&cgroup).filter_map(limit);
    limits.chain(machine).min().unwrap_or(u64::MAX)
}

/// What `/proc/meminfo` says that the machine has.
fn of_machine(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The control group that `/proc/self/cgroup` names, and those that it is in, each from where they are mounted: of version 2.
fn groups(cgroup: &str) -> impl Iterator<Item = &Path> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::/"));
    Path::new(own.unwrap_or_default()).ancestors()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_tells_it() {
        let meminfo = "MemTotal:        8048780 kB\nMemFree:         1000000 kB\n";
        assert_eq!(of_machine(meminfo), Some(8_048_780 * 1024));
        assert_eq!(of_machine("MemFree: 1 kB\n"), None);
        assert_eq!(of_machine("MemTotal: many kB\n"), None);
        let groups = |cgroup| groups(cgroup).map(|it| it.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(groups("0::/user.slice/a.scope\n"), ["user.slice/a.scope", "user.slice", ""]);
        assert_eq!(groups("0::/\n"), [""]);
        assert_eq!(groups("4:memory:/docker\n"), [""]);
        let memory = memory();
        assert!(memory > 1 << 24, "{memory}");
    }
}
