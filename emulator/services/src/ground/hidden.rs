//! Values that must not be seen by accident.
//!
//! The world is `Debug` so that a failing test can print it; keys and secrets in it are wrapped in this and
//! print nothing. Reading them takes a visible `.0`.

use std::fmt;

/// A value whose `Debug` says nothing about it.
#[derive(Clone)]
pub(crate) struct Hidden<T>(pub(crate) T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}
