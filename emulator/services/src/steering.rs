//! What steers the emulator: tests, the page and the shell read and set it. It knows operations and no service.

pub mod choices;
pub mod clock;
pub mod faults;
pub mod journal;
pub mod operation;
pub mod stopwatch;
