//! `sh` — the shell: from a line of text to processes.
//!
//! [`parse`] makes a tree of a text, [`expand`] makes strings of its words, [`run`] makes
//! processes of its commands, [`builtin`] holds what the shell does itself, and [`interactive`]
//! talks to a person. The first two know nothing of processes and files.
//!
//! Texts are UTF-8 throughout, as paths are in this system; bytes of a command's output that
//! are not are replaced.

pub mod ast;
pub mod builtin;
pub mod expand;
pub mod interactive;
pub mod jobs;
pub mod parse;
pub mod pattern;
pub mod run;
pub mod state;
pub mod system;
pub mod variables;
