//! Hard and symbolic links.

use crate::files::place;
use crate::{Check, Outcome, holds, same};
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::Path;

pub(crate) const CHECKS: &[Check] = &[
    ("links/a-second-name-is-the-same-file", hard),
    ("links/a-symbolic-link-leads-to-its-target", symbolic),
    ("links/a-link-may-leave-its-scheme", across),
    ("links/a-dangling-link-is-told", dangling),
    ("links/a-circle-is-told", circle),
    ("links/the-boot-archive-has-links", archive),
];

fn hard() -> Outcome {
    let (first, second) = (place("first"), place("second"));
    fs::write(&first, "x")?;
    fs::hard_link(&first, &second)?;
    same!(fs::metadata(&first)?.ino(), fs::metadata(&second)?.ino());
    same!(fs::metadata(&first)?.nlink(), 2);
    fs::write(&second, "both")?;
    same!(fs::read(&first)?, b"both");
    fs::remove_file(&first)?;
    same!(fs::read(&second)?, b"both");
    fs::remove_file(&second)?;
    Ok(())
}

fn symbolic() -> Outcome {
    let (target, link) = (place("target"), place("link"));
    fs::write(&target, "x")?;
    symlink("check-target", &link)?;
    same!(fs::read_link(&link)?, Path::new("check-target"));
    holds!(fs::symlink_metadata(&link)?.is_symlink());
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&link);
    same!(opened.map_err(|error| error.raw_os_error()).err(), Some(Some(libc::ELOOP)));
    holds!(fs::metadata(&link)?.is_file());
    same!(fs::read(&link)?, b"x");
    same!(fs::canonicalize(&link)?, target);
    same!(symlink("x", &link).map_err(|e| e.kind()).err(), Some(ErrorKind::AlreadyExists));
    same!(fs::read_link(&target).map_err(|e| e.kind()).err(), Some(ErrorKind::InvalidInput));
    fs::remove_file(&link)?;
    same!(fs::read(&target)?, b"x");
    fs::remove_file(&target)?;
    Ok(())
}

fn across() -> Outcome {
    let link = place("across");
    symlink("/scheme/sys/uname", &link)?;
    holds!(fs::read(&link)?.starts_with(b"Lifeboat"));
    holds!(fs::metadata(&link)?.is_file());
    same!(fs::canonicalize(&link)?, Path::new("/scheme/sys/uname"));
    fs::remove_file(&link)?;
    symlink("/scheme/sys", &link)?;
    holds!(fs::read(link.join("uname"))?.starts_with(b"Lifeboat"));
    fs::remove_file(&link)?;
    Ok(())
}

fn dangling() -> Outcome {
    let link = place("dangling");
    symlink("nowhere", &link)?;
    same!(fs::read(&link).map_err(|error| error.kind()).err(), Some(ErrorKind::NotFound));
    holds!(fs::symlink_metadata(&link).is_ok() && !link.exists());
    fs::remove_file(&link)?;
    Ok(())
}

fn circle() -> Outcome {
    let link = place("circle");
    symlink("check-circle", &link)?;
    let code = fs::read(&link).map_err(|error| error.raw_os_error()).err();
    same!(code, Some(Some(libc::ELOOP)));
    holds!(fs::canonicalize(&link).is_err());
    fs::remove_file(&link)?;
    Ok(())
}

fn archive() -> Outcome {
    let link = Path::new("/bin/ls");
    holds!(fs::symlink_metadata(link)?.is_symlink());
    same!(fs::canonicalize(link)?, Path::new("/bin/coreutils"));
    Ok(())
}
