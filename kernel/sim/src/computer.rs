//! The whole machine: the kernel behind its lock, the CPUs' side of running programs, the end.

use crate::baton::{Baton, Go, Handle, Stop};
use crate::code::Codes;
use crate::context::{Beginning, Link, SimContext};
use crate::hardware::{Sim, SpaceNumber};
use crate::outside::Outside;
use crate::report::describe;
use crate::user::{Gone, User};
use kernel_core::kernel::Kernel;
use kernel_core::machine::{CpuId, Port, Trap};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::Duration;

/// How often and how long to wait for a program's thread to unwind.
const JOIN_TRIES: usize = 20_000;
const JOIN_PAUSE: Duration = Duration::from_micros(500);

/// One simulated machine. Copies are the same machine.
#[derive(Clone)]
pub struct Computer(Arc<Shared>);

struct Shared {
    kernel: Mutex<Kernel<Sim>>,
    codes: Codes,
    outside: Arc<Outside>,
    programs: Mutex<Vec<JoinHandle<()>>>,
}

impl Computer {
    pub(crate) fn new(kernel: Kernel<Sim>) -> Self {
        Self(Arc::new(Shared {
            outside: Arc::clone(&kernel.machine.outside),
            kernel: Mutex::new(kernel),
            codes: Codes::default(),
            programs: Mutex::default(),
        }))
    }

    /// The kernel, for looking at.
    pub fn kernel(&self) -> MutexGuard<'_, Kernel<Sim>> {
        self.0.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kernel, if nobody holds its lock.
    pub(crate) fn try_kernel(&self) -> Option<MutexGuard<'_, Kernel<Sim>>> {
        self.0.kernel.try_lock().ok()
    }

    /// The closures that are programs.
    pub(crate) fn codes(&self) -> &Codes {
        &self.0.codes
    }

    /// Interrupts, and the end.
    pub(crate) fn outside(&self) -> &Outside {
        &self.0.outside
    }

    /// Takes every program apart and waits for its thread.
    ///
    /// # Panics
    /// When one stays: then something still has its registers.
    pub(crate) fn join_programs(&self) {
        self.kernel().tasks.retain(|_, _| false);
        let mut programs = self.0.programs.lock().unwrap_or_else(PoisonError::into_inner);
        for program in programs.drain(..) {
            for _ in 0..JOIN_TRIES {
                if program.is_finished() {
                    break;
                }
                sleep(JOIN_PAUSE);
            }
            assert!(program.is_finished(), "a program outlives its machine");
        }
    }

    /// Starts the host thread of a program that waits for its first turn.
    fn start(&self, beginning: Option<Beginning>) -> Arc<Handle> {
        let baton = Arc::new(Baton::new());
        let handle = Arc::new(Handle(Arc::clone(&baton)));
        let computer = self.clone();
        let thread = Builder::new().name("program".into()).spawn(move || {
            run_program(computer, baton, beginning);
        });
        let mut programs = self.0.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.retain(|program| !program.is_finished());
        programs.push(thread.expect("the host can start a thread"));
        handle
    }

    /// The thread that goes on with these registers.
    fn thread_of(&self, context: &SimContext) -> Arc<Handle> {
        match &context.link {
            Link::Start => self.start(None),
            Link::Thread(handle) => Arc::clone(handle),
            Link::Fork { child, .. } if context.registers.rax == 0 => {
                child.thread(|beginning| self.start(Some(beginning)))
            }
            Link::Fork { parent, .. } => Arc::clone(parent),
        }
    }
}

/// The life of a program's thread.
fn run_program(computer: Computer, baton: Arc<Baton>, beginning: Option<Beginning>) {
    let Some(go) = baton.wait_for_turn() else { return };
    let mut user = User::new(computer.clone(), Arc::clone(&baton), go);
    let result = catch_unwind(AssertUnwindSafe(|| user.live(beginning)));
    let Err(payload) = result else { return };
    if !payload.is::<Gone>() {
        computer.outside().fail(message_of(&*payload));
        baton.hand_back(Stop { trap: Trap::Interrupt, registers: user.registers, child: None });
    }
}

/// What a panic said.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// What a program takes between two calls, in nanoseconds. It does pass, or programs that keep
/// waking each other would never come to the end of their turn.
const RUN_NS: u64 = 1_000;

impl Port for Computer {
    type Machine = Sim;
    type Guard<'a> = MutexGuard<'a, Kernel<Sim>>;
    type Loaded = SpaceNumber;

    fn lock(&self) -> Self::Guard<'_> {
        self.kernel()
    }

    fn run(&self, context: &mut SimContext, space: &SpaceNumber) -> Trap {
        let cpu = crate::hardware::this_cpu();
        {
            let machine = &mut self.kernel().machine;
            machine.pass(RUN_NS);
            if self.is_over() || machine.has_interrupt(cpu) {
                // As on hardware: what was held back in the kernel comes before the first
                // instruction.
                return Trap::Interrupt;
            }
        }
        context.load_float(cpu);
        let handle = self.thread_of(context);
        let stop = handle.0.run(Go {
            registers: context.registers,
            cpu,
            space: *space,
            is_stepping: context.is_stepping,
            is_rewritten: std::mem::take(&mut context.is_rewritten),
        });
        context.registers = stop.registers;
        context.link = match stop.child {
            Some(child) => Link::Fork { parent: handle, child },
            None => Link::Thread(handle),
        };
        stop.trap
    }

    fn load(kernel: &mut Sim, space: &SpaceNumber) -> SpaceNumber {
        kernel.load(*space)
    }

    fn hibernate<'a>(&'a self, mut kernel: Self::Guard<'a>) -> Self::Guard<'a> {
        let cpu = crate::hardware::this_cpu();
        while !self.is_over() && !kernel.machine.has_interrupt(cpu) {
            kernel.machine.set_asleep(cpu, true);
            if !kernel.machine.is_all_asleep() {
                let waited = self.0.outside.stirred.wait(kernel);
                kernel = waited.unwrap_or_else(PoisonError::into_inner);
            } else if kernel.machine.jump() {
                self.0.outside.stirred.notify_all();
            } else {
                let story = describe(&mut kernel);
                self.0
                    .outside
                    .fail(format!("everybody waits, and nobody can wake anybody:\n{story}"));
            }
        }
        kernel.machine.set_asleep(cpu, false);
        kernel
    }

    fn is_over(&self) -> bool {
        self.0.outside.is_over()
    }
}

/// The life of a CPU's thread.
pub(crate) fn run_cpu(computer: &Computer, cpu: CpuId) {
    crate::hardware::become_cpu(cpu);
    let result = catch_unwind(AssertUnwindSafe(|| kernel_core::cpu::run_cpu(computer, cpu)));
    if let Err(payload) = result {
        computer.outside().fail(format!("the kernel panicked: {}", message_of(&*payload)));
    }
    // CPUs that slept while the end came.
    computer.outside().stirred.notify_all();
}
