//! What all schemes of the kernel have in common, and the odd corners of single ones.

use host_stories::*;

#[test]
fn only_directories_open_as_directories() {
    story(|user| {
        for path in ["sys:", "sys:scheme", "/scheme", "proc:", "proc:1", "proc:1/fd", "irq:"] {
            let fd = user.open(path, O_RDONLY | O_DIRECTORY).expect(path);
            user.close(fd).expect("it is open");
        }
        for path in ["sys:uname", "proc:1/name", "proc:1/fd/0", "irq:5", "time:4", "event:"] {
            assert_eq!(user.open(path, O_RDONLY | O_DIRECTORY), error(ENOTDIR), "{path}");
        }
        for path in ["pipe:", "memory:", "debug:", "namespace:"] {
            assert_eq!(user.open(path, O_RDONLY | O_DIRECTORY), error(ENOTDIR), "{path}");
        }
    });
}

#[test]
fn a_directory_is_not_opened_to_be_written() {
    story(|user| {
        for path in ["sys:", "/scheme", "proc:", "proc:1", "proc:1/fd", "irq:", "time:"] {
            assert_eq!(user.open(path, O_WRONLY), error(EISDIR), "{path}");
            assert_eq!(user.open(path, O_RDWR), error(EISDIR), "{path}");
        }
        assert_eq!(user.open("proc:1/name", O_WRONLY), error(EACCES));
        assert_eq!(user.open("sys:uname", O_RDWR), error(EACCES));
    });
}

#[test]
fn what_is_there_is_not_made_anew() {
    story(|user| {
        leaves_nothing(user, |user| {
            for path in ["sys:", "sys:log", "proc:1", "pipe:", "event:", "time:4", "memory:"] {
                assert_eq!(user.open(path, O_RDWR | O_CREAT | O_EXCL), error(EEXIST), "{path}");
            }
        });
    });
}
