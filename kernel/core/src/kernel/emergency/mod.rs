//! Stopping the world because memory has run out, and letting it go on.
//!
//! [`freeze`] brings the CPUs in and lets them go, [`drive`] is the loop meanwhile, [`evacuate`]
//! and [`restore`] move pages, [`overwrite`] removes what can be read of them, [`decide`] carries
//! out what was chosen, [`homecoming`] brings pages back when they are touched, [`park`] and [`resume`] take a job to the lot and back, [`save`] lets one
//! finish its work, [`pressure`] is what comes before. An emergency begins between two operations,
//! never inside one: a call that was refused
//! memory is parked and runs again from the top.

mod daemon;
mod decide;
mod drive;
mod evacuate;
mod freeze;
mod homecoming;
mod overwrite;
mod park;
mod pressure;
mod probe;
mod restore;
mod resume;
mod save;
mod start;
