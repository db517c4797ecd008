//! `trace-races` — tracing in the worst moment, on the real processor: whatever else happens at a stop,
//! nothing is lost and nothing stays.

use guest::abi::number::GETPPID;
use guest::abi::redox::error::{EAGAIN, EBUSY, ESRCH};
use guest::abi::redox::flag::{O_EXCL, O_NONBLOCK, O_RDWR, O_TRUNC};
use guest::abi::signal::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTRAP, SigInfo};
use guest::abi::trace::{STOP_EXEC, STOP_NOW};
use guest::call::call0;
use guest::errno;
use guest::file::{number_of, open, read_path, unlink};
use guest::memory::Mapping;
use guest::process::{Child, Ended, exit, exit_thread, thread, wait};
use guest::program::{HELLO, build, exec};
use guest::report::{Case, Check, Failure, equal, holds, run};
use guest::signal::catch;
use guest::time::sleep_ms;
use guest::trace::*;
use std::arch::asm;
use std::process::ExitCode;

const HELP: &str = "\
trace-races - trace processes in the worst moment

Usage: trace-races [--list | CASE...]
";

const CASES: &[Case] = &[
    ("signal-at-every-stop", signal_at_every_stop),
    ("killed-at-every-stop", killed_at_every_stop),
    ("tracer-killed-at-every-stop", tracer_killed_at_every_stop),
    ("another-cpu", another_cpu),
    ("exec-beside-a-stopped-thread", exec_beside_a_stopped_thread),
    ("news-unread", news_unread),
    ("tracing-the-tracer", tracing_the_tracer),
    ("daemon-with-clients", daemon_with_clients),
    ("thousand-sessions", thousand_sessions),
];

/// Every stop that a busybody comes to by itself, and the one on demand.
const CAUSES: [u64; 6] = [PRE, POST, STEP, BREAKPOINT, SIGNAL, STOP_NOW];

fn main() -> ExitCode {
    run("trace-races", HELP, CASES)
}

extern "C" fn nothing(_: usize, _: &SigInfo, _: usize) {}

/// A child that comes to a stop of every kind, over and over.
fn busybody() -> Result<Child, Failure> {
    let child = Child::start(|| {
        if catch(SIGTRAP, nothing, 0).is_err() {
            return 1;
        }
        loop {
            // SAFETY: no memory is involved; the signal of the breakpoint is caught.
            unsafe {
                call0(GETPPID);
                asm!("int3");
            }
        }
    })?;
    // It must have its handler.
    sleep_ms(5);
    Ok(child)
}

/// Goes on until the thread has stopped for this, and leads it over breakpoints.
fn stop_for(tracer: &Tracer, cause: u64) -> Check {
    tracer.go(if cause == STOP_NOW { 0 } else { cause })?;
    if cause == STOP_NOW {
        tracer.go(STOP_NOW)?;
    }
    equal("the stop", tracer.next()?.cause.bits(), cause)?;
    if cause == BREAKPOINT {
        let mut registers = tracer.registers()?;
        registers.rip += 1;
        tracer.set_registers(&registers)?;
    }
    Ok(())
}

/// The word behind `key` in a process's status.
fn status(pid: usize, key: &str) -> Result<String, Failure> {
    let mut text = [0; 1024];
    let text = read_path(&format!("proc:{pid}/status"), &mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    Ok(line.unwrap_or_default().to_string())
}

fn signal_at_every_stop() -> Check {
    for cause in CAUSES {
        let child = busybody()?;
        let tracer = Tracer::attach(child.pid)?;
        stop_for(&tracer, cause)?;
        for signal in [SIGTERM, SIGSTOP, SIGCONT] {
            child.signal(signal)?;
        }
        sleep_ms(2);
        equal("its state", status(child.pid, "State")?.as_str(), "t (traced)")?;
        let (mut flags, mut told) = (SIGNAL, 0);
        for _ in 0..20 {
            let signal = tracer.until(flags, SIGNAL)?.a;
            told += usize::from(signal == SIGTERM);
            flags = if signal == SIGTRAP { SIGNAL } else { SIGNAL | IGNORE };
        }
        equal("how often it is told", told, 1)?;
        drop(tracer);
        child.signal(SIGTERM)?;
        equal("the end", child.wait()?, Ended::Signalled(SIGTERM as u8))?;
    }
    Ok(())
}

fn killed_at_every_stop() -> Check {
    for cause in CAUSES {
        for _ in 0..5 {
            let child = busybody()?;
            let tracer = Tracer::attach(child.pid)?;
            stop_for(&tracer, cause)?;
            child.signal(SIGKILL)?;
            equal("the end", child.wait()?, Ended::Signalled(SIGKILL as u8))?;
            equal("the session", errno(tracer.next().map(|_| 0)), ESRCH)?;
            equal("going on", errno(tracer.go(0)), ESRCH)?;
        }
    }
    // Between being told to go on and the next stop.
    for round in 0..50 {
        let child = busybody()?;
        let tracer = Tracer::attach(child.pid)?;
        tracer.go(CAUSES[round % 5] | EXIT)?;
        child.signal(SIGKILL)?;
        equal("the end", child.wait()?, Ended::Signalled(SIGKILL as u8))?;
        let mut events = 0;
        while tracer.next().is_ok() {
            events += 1;
        }
        holds("the end is told, and at most one stop before it", (1..=2).contains(&events))?;
    }
    Ok(())
}

fn tracer_killed_at_every_stop() -> Check {
    for cause in CAUSES {
        for flags in [O_TRUNC, O_TRUNC | O_EXCL] {
            let child = busybody()?;
            let tracer = Child::start(|| {
                let Ok(tracer) = Tracer::open(child.pid, child.pid, flags) else { return 1 };
                // The end of this process is the end of the session.
                u8::from(stop_for(&tracer, cause).is_err())
            })?;
            equal("the tracer's end", tracer.wait()?, Ended::Exited(0))?;
            if flags & O_EXCL != 0 {
                equal("taken along", child.wait()?, Ended::Signalled(SIGKILL as u8))?;
                continue;
            }
            let again = Tracer::attach(child.pid)?;
            stop_for(&again, PRE)?;
            // Killed by somebody else while it waits for a stop that does not come.
            drop(again);
            let tracer = Child::start(|| match Tracer::open(child.pid, child.pid, O_TRUNC) {
                Ok(tracer) => u8::from(tracer.next().is_ok()),
                Err(_) => 1,
            })?;
            while status(tracer.pid, "Wait")? != "tracee" {
                sleep_ms(1);
            }
            tracer.signal(SIGKILL)?;
            tracer.wait()?;
            let again = Tracer::attach(child.pid)?;
            stop_for(&again, cause)?;
        }
    }
    Ok(())
}

/// A thread that computes on another CPU, if there is one, is stopped, stepped and killed.
fn another_cpu() -> Check {
    for round in 0..30 {
        let child = computer()?;
        sleep_ms(1);
        let tracer = Tracer::open(child.pid, child.pid, 0)?;
        equal("while it runs or waits for its turn", busy_or(&tracer)?, 0)?;
        tracer.go(STOP_NOW)?;
        equal("the stop", tracer.next()?.cause.bits(), STOP_NOW)?;
        let before = tracer.registers()?;
        equal("the registers again", &tracer.registers()?[..], &before[..])?;
        for _ in 0..3 {
            tracer.until(STEP, STEP)?;
        }
        tracer.go(0)?;
        tracer.until(STEP, STEP)?;
        if round % 2 == 0 {
            tracer.go(0)?;
        }
        child.signal(SIGKILL)?;
        equal("the end", child.wait()?, Ended::Signalled(SIGKILL as u8))?;
        equal("the session", errno(tracer.next().map(|_| 0)), ESRCH)?;
    }
    Ok(())
}

/// Reading the registers of a thread that nobody has stopped: 0, or `EBUSY` turned into 0.
fn busy_or(tracer: &Tracer) -> Result<i32, Failure> {
    Ok(match errno(tracer.registers()) {
        EBUSY => 0,
        other => other,
    })
}

static mut STACK: [u8; 32 << 10] = [0; 32 << 10];

extern "C" fn become_hello(gate: usize) -> ! {
    // SAFETY: the parent's gate, which a fork shares.
    let gate = unsafe { &*(gate as *const (Gate, Mapping, usize)) };
    gate.0.wait();
    exec(gate.1.address, gate.2);
    exit_thread(std::ptr::null_mut())
}

/// Another thread of the process becomes a program while the traced one is stopped.
fn exec_beside_a_stopped_thread() -> Check {
    for cause in [PRE, STEP, STOP_NOW] {
        let (image, length) = build(&HELLO)?;
        let parts = (Gate::new()?, image, length);
        let child = Child::start(|| {
            let stack = &raw mut STACK as usize + (32 << 10);
            // SAFETY: the stack is that thread's alone.
            if unsafe { thread(become_hello, stack, &raw const parts as usize) }.is_err() {
                return 1;
            }
            loop {
                // SAFETY: no memory is involved.
                unsafe { call0(GETPPID) };
            }
        })?;
        while status(child.pid, "Threads")? != "2" {
            sleep_ms(1);
        }
        let first = Tracer::attach(child.pid)?;
        stop_for(&first, cause)?;
        let second = Tracer::open(child.pid, other_thread(child.pid)?, 0)?;
        second.go(STOP_EXEC)?;
        parts.0.open();
        equal("the new program", second.next()?.cause.bits(), STOP_EXEC)?;
        equal("the first thread is gone", errno(first.next().map(|_| 0)), ESRCH)?;
        equal("how many threads", status(child.pid, "Threads")?.as_str(), "1")?;
        second.go(0)?;
        equal("the end", child.wait()?, Ended::Exited(0))?;
    }
    Ok(())
}

/// The number of a process's thread that is not its first.
fn other_thread(pid: usize) -> Result<usize, Failure> {
    // Numbers are given out in order, and this program makes nobody else meanwhile.
    let found =
        (pid + 1..pid + 1000).find(|tid| open(&format!("proc:{pid}/thread/{tid}/wait"), 0).is_ok());
    found.ok_or_else(|| "there is no second thread".to_string().into())
}

/// A session that ends with news unread, or with a stop about to come, leaves none to the next.
fn news_unread() -> Check {
    for cause in CAUSES {
        let child = busybody()?;
        for round in 0..20 {
            let tracer = Tracer::attach(child.pid)?;
            tracer.go(if cause == STOP_NOW { STOP_NOW } else { cause | CLONE | EXIT })?;
            if round % 2 == 0 {
                sleep_ms(1);
            }
        }
        let tracer = Tracer::open(child.pid, child.pid, O_NONBLOCK)?;
        sleep_ms(2);
        equal("no news", errno(tracer.next().map(|_| 0)), EAGAIN)?;
        holds("it runs", status(child.pid, "State")? != "t (traced)")?;
    }
    Ok(())
}

fn tracing_the_tracer() -> Check {
    for first_to_fall in 0..3 {
        let bottom = chatterer()?;
        let middle = follower(bottom.pid)?;
        let top = follower(middle.pid)?;
        let own = Tracer::attach(top.pid)?;
        own.until(PRE, PRE)?;
        for _ in 0..50 {
            own.until(PRE | POST, POST)?;
            own.until(PRE | POST, PRE)?;
        }
        let mut row = vec![bottom, middle, top];
        row.remove(first_to_fall).signal(SIGKILL)?;
        if first_to_fall == 2 {
            while own.next().is_ok() {}
        } else {
            own.until(PRE, PRE)?;
        }
    }
    while wait(-1, 0).is_ok() {}
    Ok(())
}

/// A tracer that watches every call of a process.
fn follower(pid: usize) -> Result<Child, Failure> {
    let child = Child::start(|| {
        let Ok(tracer) = Tracer::attach(pid) else { return 1 };
        while tracer.go(PRE | POST).is_ok() && tracer.next().is_ok() {}
        0
    })?;
    Ok(child)
}

/// The daemon behind `/tmp` is stopped and stepped while clients write and read files of it.
fn daemon_with_clients() -> Check {
    let mut text = [0; 4096];
    let text = read_path("sys:scheme", &mut text)?;
    let line = text.lines().find(|line| line.starts_with("ram "));
    let pid = line.and_then(|line| line.split(' ').next_back()?.parse().ok());
    let pid: usize = pid.ok_or_else(|| "ram: is not served".to_string())?;
    let clients: Vec<Child> =
        (0..4).map(|number| Child::start(|| client(number))).collect::<Result<_, _>>()?;
    for round in 0..20 {
        let tracer = Tracer::attach(pid)?;
        stop_for(&tracer, [PRE, POST, STEP, STOP_NOW][round % 4])?;
        tracer.registers()?;
        sleep_ms(1);
    }
    for client in clients {
        equal("a client's end", client.wait()?, Ended::Exited(0))?;
    }
    Ok(())
}

fn client(number: usize) -> u8 {
    let path = format!("/tmp/traced-{number}");
    for round in 0..60u8 {
        let Ok(file) = open(&path, O_RDWR | guest::abi::redox::flag::O_CREAT) else { return 1 };
        let mut bytes = [0; 300];
        let done = file.write(&[round; 300]);
        if done != Ok(300) || file.read_at(&mut bytes, 0) != Ok(300) || bytes != [round; 300] {
            return 2;
        }
    }
    u8::from(unlink(&path).is_err())
}

/// What the kernel has in use: frames, and bytes of its heap.
fn in_use() -> Result<[u64; 2], Failure> {
    let mut text = [0; 512];
    let text = read_path("sys:mem", &mut text)?;
    let number = |key: &str| number_of(text, key).unwrap_or_default();
    Ok([number("used"), number("heap_used")])
}

fn thousand_sessions() -> Check {
    let children = [chatterer()?, computer()?];
    let cycle = |count: usize| -> Check {
        for round in 0..count {
            let tracer = Tracer::attach(children[round % 2].pid)?;
            match round % 8 {
                0 | 1 => drop(tracer.registers()?),
                2 | 3 => drop(tracer.until(STEP, STEP)?),
                4 | 5 => drop(tracer.go(PRE)?),
                _ => {}
            }
        }
        Ok(())
    };
    // Tables have their size after the first ones. Others use memory too, but less than eight bytes of
    // heap or half a frame for each session would be.
    cycle(50)?;
    let before = in_use()?;
    cycle(1000)?;
    let after = in_use()?;
    holds("no memory is lost", after[0] < before[0] + (2 << 20))?;
    holds("no heap is lost", after[1] < before[1] + 8000)?;
    for child in children {
        child.signal(SIGKILL)?;
        equal("the end", child.wait()?, Ended::Signalled(SIGKILL as u8))?;
    }
    // Nothing of a session is left: a child that runs into a breakpoint of its own dies of it.
    let child = Child::start(|| {
        // SAFETY: nobody traces this.
        unsafe { asm!("int3") };
        exit(0)
    })?;
    equal("alone", child.wait()?, Ended::Signalled(SIGTRAP as u8))
}
