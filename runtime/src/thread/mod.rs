//! Threads, and what they wait on.
//!
//! Everything here is built on two calls: `THREAD_NEW` and `FUTEX`. A program with one thread
//! never makes either.

mod attributes;
mod barrier;
mod condition;
pub(crate) mod control;
pub(crate) mod create;
pub(crate) mod destructor;
pub(crate) mod keys;
mod mutex;
pub(crate) mod named;
mod once;
pub(crate) mod record;
mod regions;
mod rwlock;
mod semaphore;
