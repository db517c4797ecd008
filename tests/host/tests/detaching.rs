//! Daemons that keep something for a process, and hear when it closes the file: `Detach`.

use abi::redox::number::SYS_FSYNC;
use host_stories::*;

/// Answers that what was asked for goes with the process's descriptor.
fn answer_for_process(user: &mut User, socket: Socket, request: &Sqe) -> Answer {
    let flags = CqeOpcode::RespondAndNotifyOnDetach as u8;
    user.write(socket.fd, &Cqe { flags, tag: request.tag, result: 3, ..Cqe::default() })
}

/// Opens number 1, 2, ... and keeps something for whoever makes `fsync`; on `slow` it does so only
/// when somebody writes. Notes who lets go of what.
fn keeper(notes: Notes) -> impl FnMut(&mut User, Socket, &Sqe) -> Option<Answer> + Send {
    let (mut opened, mut slow, mut held) = (0, 0, None);
    move |user, socket, request| {
        match Opcode::try_from_raw(request.opcode)? {
            Opcode::OpenAt => {
                opened += 1;
                if user.payload(request) == b"slow" {
                    slow = opened;
                }
                return Some(Ok(opened as usize));
            }
            Opcode::Fsync if request.args[0] == slow => {
                held = Some(*request);
                notes.add("asked");
            }
            Opcode::Fsync => {
                answer_for_process(user, socket, request).expect("it is owed");
            }
            Opcode::Write => {
                let held = held.take()?;
                answer_for_process(user, socket, &held).expect("it is still owed");
                return Some(Ok(1));
            }
            Opcode::Detach => notes.add(format!("{} by {}", request.args[0], request.caller)),
            Opcode::CloseMsg => notes.add(format!("{} closed", request.args[0])),
            Opcode::Cancel => {}
            _ => return Some(Ok(0)),
        }
        None
    }
}

#[test]
fn each_process_that_closes_the_file_is_told() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = daemon(user, "keeper", keeper(notes.clone()));
        let me = user.pid();
        let fd = user.open("keeper:x", O_RDWR).expect("it is served");
        let copy = user.dup(fd, b"").expect("no question to the daemon");
        user.close(copy).expect("it is open");
        assert_eq!(user.call(SYS_FSYNC, [fd]), Ok(3));
        let copy = user.dup(fd, b"").expect("no question to the daemon");
        user.close(copy).expect("it is open");
        // One closes it by ending, the other by putting another file in its place.
        let one = user.fork(|_| {});
        user.wait_for(one);
        let other = user.open("keeper:y", O_RDWR).expect("it is served");
        let two = user.fork(move |user| {
            user.dup2(other, fd).expect("both are open");
            user.exit(0);
        });
        user.wait_for(two);
        user.close(fd).expect("it is open");
        user.close(other).expect("it is open");
        // What was told before this is noted when this is answered.
        user.open("keeper:z", O_RDWR).expect("it is served");
        let golden = [
            format!("1 by {me}"),
            format!("1 by {one}"),
            format!("1 by {two}"),
            format!("1 by {me}"),
            "1 closed".to_owned(),
            "2 closed".to_owned(),
        ];
        assert_eq!(notes.all(), golden);
        kill(user, server);
    });
}

#[test]
fn whoever_is_gone_before_the_answer_has_let_go() {
    story_on_any(|user| {
        let notes = Notes::default();
        let server = daemon(user, "keeper", keeper(notes.clone()));
        let fd = user.open("keeper:slow", O_RDWR).expect("it is served");
        let child = user.fork(move |user| {
            let _ = user.call(SYS_FSYNC, [fd]);
        });
        while notes.all().is_empty() {
            user.sleep(1);
        }
        user.kill(child as isize, 9).expect("it is a child");
        user.wait_for(child);
        let other = user.open("keeper:other", O_RDWR).expect("it is served");
        assert_eq!(user.write(other, b"x"), Ok(1));
        user.open("keeper:z", O_RDWR).expect("it is served");
        assert_eq!(notes.all(), ["asked".to_owned(), format!("1 by {child}")]);
        kill(user, server);
    });
}
