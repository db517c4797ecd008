//! Processes and threads.

use super::{Answer, User};
use crate::code::{Code, once};
use crate::context::Child;
use crate::image::image;
use abi::exec::ExecArgs;
use abi::number::*;
use abi::wait::Ended;
use kernel_core::error::Errno;
use std::sync::Arc;

/// Bytes of a thread's stack.
const STACK: usize = 64 << 10;

/// A thread of the same process.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Its number.
    pub tid: usize,
    /// The word that becomes 0 when it ends.
    done: usize,
}

impl User {
    /// Makes a child that runs `child` and exits with status 0. Returns its number.
    pub fn fork(&mut self, child: impl FnOnce(&mut User) + Send + 'static) -> usize {
        self.try_fork(child).expect("another process can be made")
    }

    /// The same, for when it may fail.
    ///
    /// # Errors
    /// As the call.
    pub fn try_fork(&mut self, child: impl FnOnce(&mut User) + Send + 'static) -> Answer {
        let code = once(move |user: &mut User| {
            child(user);
            user.exit(0);
        });
        let child = Arc::new(Child::new(code, self.next_point()));
        let answer = self.make_call(FORK, [0; 6], Some(child));
        match answer.wrapping_neg() {
            errno @ 1..4096 => Err(Errno(errno as i32)),
            _ => Ok(answer),
        }
    }

    /// Ends the process.
    pub fn exit(&mut self, status: usize) -> ! {
        let answer = self.call(EXIT, [status]);
        unreachable!("exit came back with {answer:?}");
    }

    /// Waits for a child: its number and how it ended.
    ///
    /// # Errors
    /// As the call.
    pub fn wait(&mut self, pid: isize) -> Answer<(usize, Ended)> {
        self.with_room(4, |user, at| {
            let pid = user.call(WAIT, [pid as usize, at, 0])?;
            Ok((pid, Ended::from_status(user.load_u32(at) as i32)))
        })
    }

    /// Waits for a certain child and tells how it ended.
    pub fn wait_for(&mut self, pid: usize) -> Ended {
        let (found, ended) = self.wait(pid as isize).expect("it is a child");
        assert_eq!(found, pid);
        ended
    }

    /// Its process's number.
    pub fn pid(&mut self) -> usize {
        self.call(GETPID, []).expect("this call always works")
    }

    /// Its parent's number.
    pub fn parent(&mut self) -> usize {
        self.call(GETPPID, []).expect("this call always works")
    }

    /// A program file that runs `main` and exits with status 0.
    pub fn program(&mut self, main: impl Fn(&mut User) + Send + Sync + 'static) -> Vec<u8> {
        let code: Code = Arc::new(move |user: &mut User| {
            main(user);
            user.exit(0);
        });
        image(self.computer.codes().add(code), b"data of the program")
    }

    /// Becomes another program. Comes back only with an error.
    pub fn exec(&mut self, path: &str, image: &[u8], args: &[&str], envs: &[&str]) -> Errno {
        let (args_bytes, envs_bytes) = (strings(args), strings(envs));
        let at = self.allocate(image.len() + args_bytes.len() + envs_bytes.len() + path.len() + 1);
        let all = [image, &args_bytes, &envs_bytes, path.as_bytes()].concat();
        self.store(at, &all);
        let args_at = at + image.len();
        let envs_at = args_at + args_bytes.len();
        let exec = ExecArgs {
            image: at,
            image_len: image.len(),
            args: args_at,
            args_len: args_bytes.len(),
            args_count: args.len(),
            envs: envs_at,
            envs_len: envs_bytes.len(),
            envs_count: envs.len(),
            path: envs_at + envs_bytes.len(),
            path_len: path.len(),
        };
        let errno = self.exec_raw(&exec);
        self.unmap(at, (all.len() + 1).next_multiple_of(abi::PAGE_SIZE)).expect("it was mapped");
        errno
    }

    /// The call itself.
    pub fn exec_raw(&mut self, exec: &ExecArgs) -> Errno {
        let ExecArgs { image, image_len, args, args_len, args_count, .. } = *exec;
        let ExecArgs { envs, envs_len, envs_count, path, path_len, .. } = *exec;
        let words = [
            image, image_len, args, args_len, args_count, envs, envs_len, envs_count, path,
            path_len,
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let answer = self.with(&bytes, |user, at| user.call(EXEC, [at]));
        answer.expect_err("exec comes back only with an error")
    }

    /// The strings that the program was started with: arguments, then environment. Only before
    /// anything was put on the stack.
    pub fn start_strings(&mut self) -> (Vec<String>, Vec<String>) {
        let mut at = self.registers.rsp;
        let count = self.load_word(at);
        let list = |user: &mut Self, at: &mut usize| {
            let mut found = Vec::new();
            loop {
                *at += 8;
                match user.load_word(*at) {
                    0 => return found,
                    pointer => found.push(user.load_string(pointer)),
                }
            }
        };
        let args = list(self, &mut at);
        assert_eq!(args.len(), count, "argc counts the arguments");
        (args, list(self, &mut at))
    }

    fn load_string(&mut self, mut at: usize) -> String {
        let mut bytes = Vec::new();
        loop {
            match self.load(at, 1)[0] {
                0 => return String::from_utf8_lossy(&bytes).into_owned(),
                byte => bytes.push(byte),
            }
            at += 1;
        }
    }

    /// Starts a thread that runs `main` and ends.
    pub fn thread(&mut self, main: impl FnOnce(&mut User) + Send + 'static) -> Thread {
        self.try_thread(main).expect("another thread can be made")
    }

    /// The same, for when it may fail.
    ///
    /// # Errors
    /// As the calls it takes.
    pub fn try_thread(&mut self, main: impl FnOnce(&mut User) + Send + 'static) -> Answer<Thread> {
        let stack = self.try_allocate(STACK)?;
        let done = self.try_allocate(4)?;
        self.store(done, &1u32.to_ne_bytes());
        let code = once(move |user: &mut User| {
            main(user);
            // Comes back only if somebody has unmapped the word: then nobody can join.
            user.call(THREAD_EXIT, [stack, STACK, done]).ok();
            let answer = user.call(THREAD_EXIT, [0, 0, 0]);
            unreachable!("thread_exit came back with {answer:?}");
        });
        let entry = self.computer.codes().add(code);
        let tid = self.call(THREAD_NEW, [entry, stack + STACK, done, 0, 0, 0])?;
        Ok(Thread { tid, done })
    }

    /// Waits for the end of a thread.
    pub fn join(&mut self, thread: Thread) {
        while self.load_u32(thread.done) != 0 {
            // Whatever the answer, the word tells.
            self.futex_wait(thread.done, 1, None).ok();
        }
    }
}

fn strings(list: &[&str]) -> Vec<u8> {
    list.iter().flat_map(|string| string.bytes().chain([0])).collect()
}
