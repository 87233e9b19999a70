//! The allocator of the programs: it wipes what is freed.
//!
//! A pulled key passes through buffers of the HTTP client and through the SDK, which parses it into text of its own.
//! None of them wipes anything, and there is no list of them that stays true. So it is done where all of them give
//! their memory back.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

/// The system's allocator, with memory wiped before it is given back.
pub type Wiping = ZeroAlloc<System>;

/// What a program names as its `#[global_allocator]`.
pub const WIPING: Wiping = ZeroAlloc(System);
