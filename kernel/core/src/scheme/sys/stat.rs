//! `sys:stat` — counters, in Redox's format: times of all CPUs together and of each one in
//! milliseconds (user, nice, kernel, idle, irq), then the rest.

use super::Row;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::stats::{CpuStats, Times};
use crate::task::State;
use alloc::format;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "stat",
        help: "times per CPU in ms (user nice kernel idle irq), and counters",
        read: |k, _| text(k),
        write: None,
    }
}

fn text<M: Machine>(k: &mut Kernel<M>) -> String {
    let mut sum = CpuStats::default();
    let mut times = Times::default();
    let mut lines = String::new();
    for cpu in k.cpus.iter() {
        let own = k.times_of(cpu.id);
        times.user += own.user;
        times.kernel += own.kernel;
        times.idle += own.idle;
        sum.interrupts += cpu.stats.interrupts;
        sum.switches += cpu.stats.switches;
        lines += &cpu_line(k, &format!("cpu{}", cpu.id.0), &own, &cpu.stats);
    }
    let mut text = cpu_line(k, "cpu ", &times, &sum);
    text += &lines;
    text += "IRQs";
    text += &format!(" {}", k.stats.lines.iter().sum::<u64>());
    for count in &k.stats.lines {
        text += &format!(" {count}");
    }
    let running = |state| matches!(state, State::Running(_) | State::Ready);
    let running = k.tasks.iter().filter(|(_, thread)| running(thread.state)).count();
    let blocked = k.tasks.iter().filter(|(_, t)| matches!(t.state, State::Parked(_))).count();
    let (queues, interests) = k.events.counts();
    text += &format!(
        "\nboot_time: {}\ncontext_switches: {}\ncontexts_created: {}\ncontexts_alive: {}\n\
         contexts_running: {}\ncontexts_blocked: {blocked}\nevent_registries: {queues}\n\
         event_subscribers: {interests}\nfutex_registries: {}\npipes: {}\n\
         timeout_subscribers: {}\npage_faults: {}\n",
        k.machine.boot_time(),
        sum.switches,
        k.stats.contexts_created,
        k.tasks.len(),
        running,
        k.futexes.len(),
        k.pipes.table.len(),
        k.timers.len(),
        k.stats.faults,
    );
    text
}

fn cpu_line<M: Machine>(k: &Kernel<M>, name: &str, times: &Times, stats: &CpuStats) -> String {
    let millis = |ticks| k.machine.nanoseconds(ticks) / 1_000_000;
    format!(
        "{name} {} 0 {} {} {}\n",
        millis(times.user),
        millis(times.kernel),
        millis(times.idle),
        stats.interrupts,
    )
}
