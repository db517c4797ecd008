//! `proc:PID/names`: processes that may use some schemes' names and not others.

use abi::number::SETIDS;
use host_stories::tracer::*;
use host_stories::*;

fn narrow(user: &mut User, command: &str) -> Answer<()> {
    user.write_text("proc:self/names", command).map(|_| ())
}

fn names(user: &mut User) -> Vec<String> {
    user.list("/scheme").expect("the list has no name")
}

#[test]
fn a_name_that_is_given_up_is_not_there() {
    story_on_any(|user| {
        let child = user.fork(|user| {
            let before = names(user);
            assert_eq!(user.read_text("proc:self/names").as_deref(), Ok("all\n"));
            assert_eq!(narrow(user, "without sys event"), Ok(()));
            assert_eq!(user.read_text("proc:self/names").as_deref(), Ok("without sys event\n"));
            for path in ["sys:uname", "/scheme/sys/uname", "event:"] {
                assert_eq!(user.open(path, O_RDONLY), error(ENOENT), "{path}");
            }
            assert_eq!(names(user).len(), before.len() - 2);
            assert_eq!(narrow(user, "only proc sys"), error(EPERM));
            assert_eq!(narrow(user, "all"), error(EINVAL));
            assert_eq!(narrow(user, "only proc"), Ok(()));
            assert_eq!(names(user), ["proc"]);
            // What it makes sees no more than it does.
            let grandchild = user.fork(|user| {
                assert_eq!(user.open("time:", O_RDONLY), error(ENOENT));
                assert_eq!(narrow(user, "only"), Ok(()));
                assert_eq!(user.read_text("proc:self/names"), error(ENOENT));
                user.exit(3);
            });
            assert_eq!(user.wait_for(grandchild), Ended::Exited(3));
            user.exit(4);
        });
        assert_eq!(user.wait_for(child), Ended::Exited(4));
        assert_eq!(user.read_text("proc:self/names").as_deref(), Ok("all\n"));
    });
}

#[test]
fn a_process_without_proc_cannot_trace_but_may_be_given_a_session() {
    story_on_any(|user| {
        let victim = chatterer(user);
        let given = Tracer::attach(user, victim);
        let child = user.fork(move |user| {
            assert_eq!(narrow(user, "without proc"), Ok(()));
            for path in ["proc:", &format!("proc:{victim}/trace"), &format!("proc:{victim}/mem")] {
                assert_eq!(user.open(path, O_RDWR), error(ENOENT), "{path}");
            }
            // A name is the way to a file, not the right to one.
            given.until(user, PRE, PRE);
            user.exit(0);
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        given.end(user);
        bury(user, victim);
    });
}

#[test]
fn only_its_owner_narrows_a_process_and_what_is_shared_stays_as_it_is() {
    story_on_any(|user| {
        let victim = chatterer(user);
        let path = format!("proc:{victim}/names");
        let child = user.fork({
            let path = path.clone();
            move |user| {
                let ids: Vec<u8> = [1000u32; 4].iter().flat_map(|id| id.to_ne_bytes()).collect();
                user.with(&ids, |user, at| user.call(SETIDS, [at])).expect("root may");
                assert_eq!(user.write_text(&path, "only"), error(EPERM));
                user.exit(0);
            }
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        let child = user.fork(|user| {
            assert_eq!(narrow(user, "without ram"), Ok(()));
            assert_eq!(user.write_text("sys:mount", "mount /x sys:"), error(EPERM));
            let socket = user.create_scheme();
            let root = user.new_file(socket, 1).expect("a root");
            assert_eq!(user.register("ram", root), error(EPERM));
            user.register("other", root).expect("that one it can see");
            user.exit(0);
        });
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        user.write_text(&path, "without sys").expect("root may");
        assert_eq!(user.read_text(&path).as_deref(), Ok("without sys\n"));
        bury(user, victim);
    });
}
