//! functions host
