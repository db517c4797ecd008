//! `sys:boot` — the way from the first instruction to the first program, in declared stages.
//!
//! Each [`Stage`] names its phase and the stages it needs. They are sorted once, run in that
//! order, each timed, and undone in exactly the reverse order: at shutdown, or at once when one
//! fails. A stage that fails is tried a second time first, so stages must stand being run twice.
//! A [`Pipeline`] holds no hardware and no clock: the [`Context`] it works on brings both.

pub mod order;
pub mod phase;
mod pipeline;
pub mod state;

pub use order::{OrderError, Ordered};
pub use phase::LifecyclePhase;
pub use pipeline::{
    BootError, BootState, Context, Event, LoaderTicks, Past, Pipeline, Progress, Stage,
};
pub use state::{IllegalChange, KernelState};
