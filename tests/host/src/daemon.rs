//! Daemons for stories: a child that serves a scheme with a closure.

use abi::redox::error::*;
use abi::redox::schemev2::{Opcode, Sqe};
use kernel_core::error::Errno;
use kernel_sim::{Answer, Socket, User};
use std::sync::{Arc, Mutex, PoisonError};

/// Starts a daemon that serves `name` and answers each request with what `answer` returns, or not
/// at all. Returns its number once the name is there.
pub fn daemon(
    user: &mut User,
    name: &'static str,
    mut answer: impl FnMut(&mut User, Socket, &Sqe) -> Option<Answer> + Send + 'static,
) -> usize {
    daemon_that(user, name, move |user, socket| {
        loop {
            let request = user.next_request(socket).expect("the socket is open");
            if let Some(answer) = answer(user, socket, &request) {
                user.answer(socket, &request, answer).expect("the request is owed an answer");
            }
        }
    })
}

/// Starts a daemon that serves `name` and then runs `main`. Returns its number once the name is
/// there.
pub fn daemon_that(
    user: &mut User,
    name: &'static str,
    main: impl FnOnce(&mut User, Socket) + Send + 'static,
) -> usize {
    let (ready, tell) = user.pipe();
    let child = user.fork(move |user| {
        let socket = user.serve(name);
        user.close(ready).expect("it is open");
        user.close(tell).expect("it is open");
        main(user, socket);
    });
    user.close(tell).expect("it is open");
    assert_eq!(user.read(ready, 1), Ok(vec![]), "the end of the file means ready");
    user.close(ready).expect("it is open");
    child
}

/// Whether a request has this opcode.
pub fn is(request: &Sqe, opcode: Opcode) -> bool {
    request.opcode == opcode as u8
}

/// What a daemon was asked, in order.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// Adds a line.
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A simple file server: opening gives numbers from 1, reading tells the number, writing takes
/// everything, `missing` is not there. Notes what it is asked.
pub fn file_server(notes: Notes) -> impl FnMut(&mut User, Socket, &Sqe) -> Option<Answer> + Send {
    let mut next = 0;
    move |user, _, request| {
        let file = request.args[0];
        let mut open = || {
            next += 1;
            Ok(next)
        };
        Some(match Opcode::try_from_raw(request.opcode) {
            Some(Opcode::OpenAt) => {
                let path = String::from_utf8_lossy(&user.payload(request)).into_owned();
                notes.add(format!("open {path}"));
                if path == "missing" { Err(Errno(ENOENT)) } else { open() }
            }
            Some(Opcode::Dup) => {
                let what = String::from_utf8_lossy(&user.payload(request)).into_owned();
                notes.add(format!("dup {file} {what}"));
                open()
            }
            Some(Opcode::Read) => {
                notes.add(format!("read {file}"));
                Ok(user.fill_payload(request, format!("this is file {file}").as_bytes()))
            }
            Some(Opcode::Write) => {
                let bytes = String::from_utf8_lossy(&user.payload(request)).into_owned();
                notes.add(format!("write {file} {bytes}"));
                Ok(bytes.len())
            }
            Some(Opcode::CloseMsg) => {
                notes.add(format!("close {file}"));
                return None;
            }
            Some(Opcode::Cancel) => {
                notes.add("cancel");
                return None;
            }
            other => {
                notes.add(format!("{other:?} {file}"));
                Err(Errno(EOPNOTSUPP))
            }
        })
    }
}

/// Ends a child that would not end by itself.
pub fn kill(user: &mut User, pid: usize) {
    user.kill(pid as isize, abi::signal::SIGKILL).expect("it lives");
    user.wait_for(pid);
}
