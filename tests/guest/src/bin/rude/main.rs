//! `rude` — everything a program can do wrong, and what must come of it.
//!
//! Each case does something that no well-behaved program does. It must get the documented error,
//! or die alone by the right signal; the kernel and everybody else go on. What may kill runs in a
//! child.

mod descriptors;
mod flags;
mod gates;
mod instructions;
mod limits;
mod memory;
mod pointers;
mod programs;
mod segments;
mod signals;
mod storm;
mod trial;

use guest::report::{Case, run};
use std::process::ExitCode;

const HELP: &str = "\
rude - do everything wrong, and see that only the right things happen

Usage: rude [--list | CASE...]

Prints 'ok NAME' or 'FAILED NAME: why' for each case, then a count. Run as root.

Examples:
  rude
  rude stack-overflow undefined
";

const CASES: &[Case] = &[
    ("bad-pointers", pointers::bad_pointers),
    ("bad-pointers-in-exec", pointers::bad_pointers_in_exec),
    ("bad-pointers-lose-nothing", pointers::nothing_is_lost),
    ("misaligned-pointers", pointers::misaligned),
    ("huge-lengths", pointers::huge_lengths),
    ("zero-lengths", pointers::zero_lengths),
    ("bad-descriptors", descriptors::bad_numbers),
    ("wrong-descriptors", descriptors::wrong_kinds),
    ("close-twice", descriptors::close_twice),
    ("bad-paths", descriptors::bad_paths),
    ("bad-arguments", descriptors::bad_arguments),
    ("garbage-programs", programs::garbage),
    ("truncated-programs", programs::truncated),
    ("forged-programs", programs::forged),
    ("mutated-programs", programs::mutated),
    ("argument-lists", programs::argument_lists),
    ("undefined", instructions::undefined),
    ("privileged", instructions::privileged),
    ("arithmetic", instructions::arithmetic),
    ("traps", instructions::traps),
    ("vectors", instructions::vectors),
    ("flags-in-calls", flags::in_calls),
    ("flags-forbidden", flags::forbidden),
    ("trap-flag-in-calls", flags::trap_flag),
    ("alignment-check", flags::alignment_check),
    ("segment-bases", segments::bases),
    ("segment-selectors", segments::selectors),
    ("stack-pointers", segments::stack_pointers),
    ("call-at-the-top", gates::call_at_the_top),
    ("thread-starts", gates::thread_starts),
    ("forged-returns", gates::forged_returns),
    ("bad-accesses", memory::bad_accesses),
    ("bad-jumps", memory::bad_jumps),
    ("stack-overflow", memory::stack_overflow),
    ("unmap-oneself", memory::unmap_oneself),
    ("writable-code", memory::writable_code),
    ("bad-mappings", memory::bad_mappings),
    ("physical-memory", memory::physical),
    ("more-than-memory", memory::more_than_there_is),
    ("report-line", memory::report_line),
    ("descriptors-used-up", limits::descriptors),
    ("ten-thousand-files", limits::files),
    ("fork-flood", limits::forks),
    ("thread-flood", limits::threads),
    ("pipe-flood", limits::pipes),
    ("mapping-flood", limits::mappings),
    ("watch-flood", limits::watches),
    ("signal-flood", limits::signals),
    ("bad-signals", signals::bad_numbers),
    ("bad-handlers", signals::bad_handlers),
    ("deep-nesting", signals::deep_nesting),
    ("unstoppable", signals::unstoppable),
    ("hidden-faults", signals::hidden_faults),
    ("broken-pipe", signals::broken_pipe),
    ("bad-targets", signals::bad_targets),
    ("storm", storm::storm),
    ("storm-of-threads", storm::storm_of_threads),
];

fn main() -> ExitCode {
    run("rude", HELP, CASES)
}
