//! What the process that holds a key may take: so much time, so much memory, and no dump of it.

use std::time::Duration;

#[cfg(unix)]
use crate::pulled_key::PROCESSOR_SECONDS;

/// How long its parent waits for an answer; a machine may be busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Its address space in bytes. The program and its libraries are mapped into some tens of MiB of it.
#[cfg(unix)]
const ADDRESS_SPACE: u64 = 512 << 20;

/// Limits this process, for good.
#[cfg(unix)]
pub(super) fn limit_this_process() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    for (resource, soft, hard) in [
        (Resource::Core, 0, 0),
        // At the soft limit the signal says why; the hard one cannot be ignored.
        (Resource::Cpu, PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1),
        (Resource::As, ADDRESS_SPACE, ADDRESS_SPACE),
    ] {
        let limit = Rlimit { current: Some(soft), maximum: Some(hard) };
        // Where less is allowed already, that is good enough.
        match setrlimit(resource, limit) {
            Ok(()) | Err(rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // No other process of the same user may look into it either.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// There is no such limit here; the parent's patience is one.
#[cfg(not(unix))]
pub(super) fn limit_this_process() -> std::io::Result<()> {
    Ok(())
}

/// Returns whether a process was ended because it used up its processor time.
#[cfg(unix)]
pub(super) fn has_computed_too_long(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;

    status.signal() == Some(rustix::process::Signal::XCPU.as_raw())
}

/// Without a limit none is met.
#[cfg(not(unix))]
pub(super) fn has_computed_too_long(_: std::process::ExitStatus) -> bool {
    false
}
