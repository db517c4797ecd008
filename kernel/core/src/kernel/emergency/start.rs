//! At boot: what the command line says, and the store.

use super::super::Kernel;
use crate::boot::BootError;
use crate::emergency::BlockIo;
use crate::emergency::policy::Policy;
use crate::emergency::record::Name;
use crate::emergency::secrecy::Secrecy;
use crate::log::Level;
use crate::machine::Machine;
use alloc::boxed::Box;
use alloc::string::String;
use store_format::{SlotEntry, State, StoreHeader, slot_flags_parked};

/// Names in the line about what was lost.
const NAMED: usize = 6;

impl<M: Machine> Kernel<M> {
    /// The machine has a disk for the store. To be called before [`Kernel::start`].
    pub fn register_block_io(&mut self, io: Box<dyn BlockIo<M>>) {
        self.emergency.store.register_block_io(io);
    }

    /// The boot stage `emergency`.
    pub(crate) fn prepare_emergency(&mut self) -> Result<(), BootError> {
        self.emergency.is_enabled = self.boot_option("emergency") != Some("off");
        if let Some(words) = self.boot_option("emergency.restore").map(String::from) {
            for word in words.split(',') {
                self.set_restore(word);
            }
        }
        if let Some(text) = self.boot_option("emergency.auto").map(String::from) {
            match Policy::parse(&text) {
                Some(policy) => self.emergency.policy = policy,
                None => self.log(
                    Level::Warn,
                    "emergency",
                    format_args!("emergency.auto={text} is no policy; nobody but a person decides"),
                ),
            }
        }
        if let Some(text) = self.boot_option("emergency.save").map(String::from) {
            let seconds = text.strip_suffix('s').and_then(|number| number.parse::<u32>().ok());
            match seconds {
                Some(seconds) => self.emergency.save_s = seconds.into(),
                None => self.log(
                    Level::Warn,
                    "emergency",
                    format_args!("emergency.save={text} is no time such as 20s"),
                ),
            }
        }
        if let Some(text) = self.boot_option("emergency.secrecy").map(String::from) {
            match Secrecy::parse(&text) {
                Some(secrecy) => self.emergency.store.set_secrecy(secrecy),
                None => self.log(
                    Level::Warn,
                    "emergency",
                    format_args!("emergency.secrecy={text} is not known; pages are encrypted"),
                ),
            }
        }
        let lease = self.boot_option("emergency.lease").and_then(|text| text.strip_suffix('s'));
        if let Some(seconds) = lease.and_then(|text| text.parse::<u32>().ok()) {
            self.emergency.daemon.lease_ns = u64::from(seconds) * 1_000_000_000;
        }
        self.look_at_pressure();
        self.open_store();
        Ok(())
    }

    /// How pages come back.
    fn set_restore(&mut self, word: &str) {
        match word {
            "disk" => self.emergency.is_erasing = true,
            "lazy" => self.emergency.is_lazy = true,
            "ram" => {}
            _ => self.log(
                Level::Warn,
                "emergency",
                format_args!("emergency.restore={word} is not known; pages come back at once"),
            ),
        }
    }

    fn open_store(&mut self) {
        let is_in_memory = self.boot_option("emergency.store").is_some();
        let may_format = is_in_memory || self.boot_option("emergency.format").is_some();
        let total = self.boot_option("emergency.slots").and_then(|text| text.parse().ok());
        let total = total.or(is_in_memory.then(|| self.emergency.store.room()));
        let store = &mut self.emergency.store;
        match store.init_from_boot(&mut self.machine, &mut self.frames, total, may_format) {
            Ok(left) => {
                let slots = self.emergency.store.total_page_slots();
                let secrecy = self.emergency.store.secrecy();
                self.log(
                    Level::Info,
                    "emergency",
                    format_args!("store: {slots} slots ready, secrecy {secrecy}"),
                );
                self.tell_what_was_lost(&left);
            }
            Err(why) => {
                self.log(Level::Info, "emergency", format_args!("no store: {why}"));
            }
        }
    }

    /// The last session ended inside an emergency: its processes are gone, and here is who.
    fn tell_what_was_lost(&mut self, left: &StoreHeader) {
        // After an emergency all have their pages back but those that are parked.
        let is_idle = left.state == State::Idle;
        let is_parked = |entry: &&SlotEntry| entry.flags == slot_flags_parked();
        let lost = || left.entries.iter().filter(|entry| !is_idle || is_parked(entry));
        let count = lost().count();
        if is_idle && count == 0 {
            return;
        }
        let what = if is_idle { "with parked processes" } else { "inside an emergency" };
        self.log(
            Level::Warn,
            "emergency",
            format_args!("the last session ended {what}; {count} processes were lost"),
        );
        for entry in lost().take(NAMED) {
            let (name, kib) = (Name(&entry.name), entry.pages * 4);
            let pid = entry.pid;
            self.log(Level::Warn, "emergency", format_args!("lost: {name} (pid {pid}, {kib} KiB)"));
        }
    }
}
