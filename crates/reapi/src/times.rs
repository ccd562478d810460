//! The time of processors that a command took on another machine: its shell says it, twice, as POSIX's `times` does.

use std::time::Duration;

use larder_engine::process::Cost;

/// The time of processors that a command took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// In its own code.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

impl Times {
    /// Returns the times between two answers of `times` in what a script told: each is a line for the shell and one for its
    /// children, such as `0m0.010s 0m0.004s`. None where they are not there.
    pub fn of(told: &str) -> Option<Self> {
        let lines: Vec<Self> = told.lines().filter_map(line).collect();
        let [_, before, _, after] = lines[..] else { return None };
        Some(Self {
            user: after.user.checked_sub(before.user)?,
            system: after.system.checked_sub(before.system)?,
        })
    }

    /// The times of a command that ran here.
    pub fn of_cost(cost: &Cost) -> Self {
        Self { user: cost.user, system: cost.system }
    }

    /// Returns them as a script tells them.
    pub fn told(self) -> String {
        let none = Self::default();
        [none, none, none, self]
            .map(|it| format!("{} {}\n", shown(it.user), shown(it.system)))
            .concat()
    }
}

fn line(text: &str) -> Option<Times> {
    let (user, system) = text.split_once(' ')?;
    Some(Times { user: duration(user)?, system: duration(system)? })
}

fn duration(text: &str) -> Option<Duration> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    Duration::from_secs(minutes.parse().ok()?).checked_mul(60)?.checked_add(seconds)
}

fn shown(time: Duration) -> String {
    format!("0m{}.{:06}s", time.as_secs(), time.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_answers_is_what_a_command_took() {
        let told = "R=/x\n0m0.000s 0m0.000s\n0m0.002000s 0m0.001000s\n0m0.00s 0m0.01s\n1m0.252s 0m0.101s\n\
                    aa  /usr/include/stdio.h\n";
        let times =
            Times { user: Duration::from_millis(60_250), system: Duration::from_millis(100) };
        assert_eq!(Times::of(told), Some(times));
        assert_eq!(Times::of(&times.told()), Some(times));
        for told in ["", "0m0s 0m0s\n", "0mxs 0m0s\n", "99999999999999999999m1s 0m0s", "0m-1s 0m0s"]
        {
            assert_eq!(Times::of(told), None, "{told}");
        }
        let backwards = "0m0s 0m0s\n0m2s 0m0s\n0m0s 0m0s\n0m1s 0m0s\n";
        assert_eq!(Times::of(backwards), None);
    }
}
