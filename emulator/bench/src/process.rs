//! What a process costs, as Linux counts it in `/proc`. Elsewhere nobody knows, and nothing is reported.

use std::fs;
use std::time::Duration;

/// `USER_HZ`, which is part of Linux's interface: clock ticks in `/proc/[pid]/stat` are a hundredth of a second.
const TICKS_PER_SECOND: u32 = 100;

/// What a process has used and is using.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system time of all its threads, those that ended included.
    pub(crate) cpu: Duration,
    /// Resident memory, in MiB.
    pub(crate) resident: f64,
    /// The most it ever had resident, in MiB.
    pub(crate) peak: f64,
}

/// What a process costs now; `None` once it is gone, or on another system.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    read(&stat, &status)
}

/// What this process costs now.
pub(crate) fn own_usage() -> Option<Usage> {
    usage(std::process::id())
}

fn read(stat: &str, status: &str) -> Option<Usage> {
    // The second field is the program's name in brackets, which may hold anything, brackets and blanks included.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let ticks = times.next()?.parse::<u32>().ok()? + times.next()?.parse::<u32>().ok()?;
    let mebibytes = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes / 1024.0)
    };
    Some(Usage {
        cpu: Duration::from_secs(1) * ticks / TICKS_PER_SECOND,
        resident: mebibytes("VmRSS")?,
        peak: mebibytes("VmHWM")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_as_linux_describes_it() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 900 0 0 0 150 25 0 0 20 0 4 0 9 1000 200 18446744073709551615";
        let status = "Name:\ta (b) c\nVmHWM:\t   20480 kB\nVmRSS:\t    10240 kB\nThreads:\t4\n";
        let usage = Usage { cpu: Duration::from_millis(1750), resident: 10.0, peak: 20.0 };
        assert_eq!(read(stat, status), Some(usage));
        assert_eq!(read("", status), None);
        assert_eq!(read(stat, "Name:\tzombie\n"), None);
    }
}
