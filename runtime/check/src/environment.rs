//! Variables and the working directory.

use crate::{Check, Outcome, holds, same};
use std::env;
use std::path::Path;

pub(crate) const CHECKS: &[Check] = &[
    ("environment/variables-are-set-and-gone", variables),
    ("environment/many-variables-fit", many),
    ("environment/the-directory-changes", directory),
    ("environment/random-numbers-differ", random),
    ("environment/the-program-knows-its-path", own_path),
];

fn variables() -> Outcome {
    // SAFETY: the checks run one after the other.
    unsafe {
        env::set_var("CHECK", "one");
        same!(env::var("CHECK")?, "one");
        env::set_var("CHECK", "");
        same!(env::var("CHECK")?, "");
        env::remove_var("CHECK");
        holds!(env::var_os("CHECK").is_none());
        env::remove_var("CHECK");
    }
    Ok(())
}

fn many() -> Outcome {
    let before = env::vars_os().count();
    let names: Vec<String> = (0..200).map(|number| format!("CHECK_{number}")).collect();
    // SAFETY: the checks run one after the other.
    unsafe {
        names.iter().for_each(|name| env::set_var(name, name));
        same!(env::vars_os().count(), before + 200);
        holds!(names.iter().all(|name| env::var(name).as_ref() == Ok(name)));
        names.iter().for_each(|name| env::remove_var(name));
    }
    same!(env::vars_os().count(), before);
    Ok(())
}

fn directory() -> Outcome {
    let before = env::current_dir()?;
    env::set_current_dir("/scheme/sys")?;
    same!(env::current_dir()?, Path::new("/scheme/sys"));
    holds!(std::fs::read("uname")?.starts_with(b"Lifeboat"));
    env::set_current_dir("..")?;
    same!(env::current_dir()?, Path::new("/scheme"));
    env::set_current_dir("sys:")?;
    same!(env::current_dir()?, Path::new("/scheme/sys"));
    holds!(env::set_current_dir("/nowhere").is_err());
    holds!(env::set_current_dir("uname").is_err());
    env::set_current_dir(&before)?;
    same!(env::current_dir()?, before);
    Ok(())
}

fn random() -> Outcome {
    let number = || {
        let mut bytes = [0_u8; 8];
        // SAFETY: the buffer is as long as told.
        let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        (count, u64::from_ne_bytes(bytes))
    };
    let (first, second) = (number(), number());
    same!(first.0, 8);
    holds!(first.1 != second.1);
    Ok(())
}

fn own_path() -> Outcome {
    let path = env::current_exe()?;
    holds!(path.is_absolute() && path.exists(), "{path:?}");
    Ok(())
}
