//! Starting the kernel's parts in order, and stopping them in reverse.

use super::Kernel;
use crate::boot::{BootError, Context, Event, KernelState, LifecyclePhase, Pipeline, Stage};
use crate::log::Level;
use crate::machine::{Machine, PowerOff};
use crate::power;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

impl<M: Machine> Context for Kernel<M> {
    fn ticks(&self) -> u64 {
        self.machine.ticks()
    }

    fn report(&mut self, event: Event) {
        match event {
            Event::Started(name) => {
                self.log(Level::Debug, "boot", format_args!("{name}: starting"))
            }
            Event::Done(name) => self.log(Level::Debug, "boot", format_args!("{name}: done")),
            Event::Retried(name, why) => {
                self.log(Level::Warn, "boot", format_args!("{name}: {why}; trying again"));
            }
            Event::Failed(name, why) => {
                self.log(Level::Error, "boot", format_args!("{name}: {why}"));
            }
            Event::Stopped(name) => self.log(Level::Info, "boot", format_args!("{name}: stopped")),
            Event::StopFailed(name, why) => {
                self.log(Level::Error, "boot", format_args!("{name}: cannot be stopped: {why}"));
            }
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// Runs every stage: the machine's, then the kernel's own. When one fails, those before it
    /// are undone, the log says which, and the machine ends.
    pub fn start(&mut self) {
        // A screen's text may have taken most of what the heap began with.
        self.top_up_heap();
        if let Some(level) = self.boot_option("log").and_then(Level::parse) {
            self.log.console_level = level;
        }
        if self.has_boot_flag("quiet") {
            self.log.console_level = Level::Error;
        }
        let mut stages = M::stages();
        stages.extend(Self::own_stages());
        self.change_state(KernelState::Initializing);
        let mut pipeline = match Pipeline::new(stages) {
            Ok(pipeline) => pipeline,
            Err(error) => panic!("the boot stages have no order: {error}"),
        };
        if let Err(error) = pipeline.adopt(&M::past_stages()) {
            panic!("the machine started in the wrong order: {error}");
        }
        if let Some(stage) = self.boot_option("fail").map(String::from)
            && !pipeline.inject_failure(&stage)
        {
            self.log(
                Level::Warn,
                "boot",
                format_args!("there is no stage {stage} that could fail"),
            );
        }
        let result = pipeline.run(self);
        let state = pipeline.state();
        self.pipeline = Some(pipeline);
        match result {
            Ok(()) => self.change_state(KernelState::Running),
            Err(_) => {
                self.log(Level::Error, "boot", format_args!("{state}"));
                self.machine.power_off(PowerOff::Shutdown(power::FAILURE));
            }
        }
    }

    /// Stops every stage in reverse order and ends the machine.
    pub fn shut_down(&mut self, how: PowerOff) {
        self.change_state(KernelState::ShuttingDown);
        if let Some(mut pipeline) = self.pipeline.take() {
            pipeline.stop_all(self);
            self.pipeline = Some(pipeline);
        }
        self.machine.power_off(how);
    }

    fn change_state(&mut self, to: KernelState) {
        if let Err(illegal) = self.state.change(to) {
            self.log(Level::Warn, "boot", format_args!("{illegal}"));
        }
    }

    fn own_stages() -> Vec<Stage<Self>> {
        let nothing = |_: &mut Self| Ok(());
        vec![
            Stage {
                name: "memory",
                phase: LifecyclePhase::CoreInit,
                needs: &[],
                run: Self::report_memory,
                stop: nothing,
            },
            Stage {
                name: "archive",
                phase: LifecyclePhase::CoreInit,
                needs: &["memory"],
                run: Self::report_archive,
                stop: nothing,
            },
            Stage {
                name: "emergency",
                phase: LifecyclePhase::CoreInit,
                needs: &["memory"],
                run: Self::prepare_emergency,
                stop: nothing,
            },
            Stage {
                name: "schemes",
                phase: LifecyclePhase::LateInit,
                needs: &["memory"],
                run: Self::name_schemes,
                stop: nothing,
            },
            Stage {
                name: "init",
                phase: LifecyclePhase::LateInit,
                needs: &["archive", "emergency", "schemes"],
                run: Self::run_init,
                stop: nothing,
            },
        ]
    }

    fn report_memory(&mut self) -> Result<(), BootError> {
        let counts = self.frames.totals();
        let megabytes = |frames: usize| frames >> 8;
        let (total, free) = (megabytes(counts.total), megabytes(counts.free));
        self.log(Level::Info, "memory", format_args!("{total} MiB, {free} MiB free"));
        Ok(())
    }

    fn report_archive(&mut self) -> Result<(), BootError> {
        let Some(boot) = &self.archive else {
            return Err(BootError::Fatal("the loader brought no usable boot archive"));
        };
        let (entries, bytes) = (boot.archive.entry_count(), boot.archive.bytes().len());
        self.log(Level::Info, "initfs", format_args!("{entries} entries, {} KiB", bytes >> 10));
        Ok(())
    }

    /// Gives the kernel's schemes their names in the namespace. Twice does no harm.
    fn name_schemes(&mut self) -> Result<(), BootError> {
        self.namespace = Self::first_namespace();
        Ok(())
    }

    fn run_init(&mut self) -> Result<(), BootError> {
        self.top_up_heap();
        let path = self.boot_option("init").map_or_else(|| String::from("/bin/init"), String::from);
        match self.start_init(&path) {
            Ok(()) => Ok(()),
            Err(why) => {
                self.log(Level::Error, "init", format_args!("{why}"));
                Err(BootError::Fatal("the first program cannot be started"))
            }
        }
    }
}
