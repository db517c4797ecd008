//! `null:`, `zero:`, `rand:`.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};

use super::{Check, Checked, fails, ok, same};

pub(super) const CHECKS: &[Check] = &[
    ("null_swallows_and_is_empty", null),
    ("zero_fills_any_buffer", zero),
    ("rand_never_repeats", rand),
    ("devices_have_nothing_below_them", below),
    ("devices_check_what_they_were_opened_for", access),
];

fn null() -> Checked {
    ok("write", fs::write("/scheme/null", vec![1; 100_000]))?;
    same("read", ok("read", fs::read("/scheme/null"))?.len(), 0)
}

fn zero() -> Checked {
    let mut zero = ok("open", File::open("/scheme/zero"))?;
    for length in [1, 4095, 4097, 3_000_000] {
        let mut bytes = vec![7; length];
        ok("read", zero.read_exact(&mut bytes))?;
        same("zeros", bytes.iter().filter(|&&byte| byte == 0).count(), length)?;
    }
    Ok(())
}

fn rand() -> Checked {
    let mut rand = ok("open", OpenOptions::new().read(true).write(true).open("/scheme/rand"))?;
    let mut seen = Vec::new();
    for _ in 0..100 {
        let mut bytes = [0; 32];
        ok("read", rand.read_exact(&mut bytes))?;
        if seen.contains(&bytes) {
            return Err("the same bytes twice".to_owned());
        }
        seen.push(bytes);
        ok("write", rand.write_all(b"more entropy"))?;
    }
    Ok(())
}

fn below() -> Checked {
    for path in ["/scheme/null/x", "/scheme/zero/x", "/scheme/rand/x"] {
        fails(path, File::open(path), libc::ENOENT)?;
    }
    fails("read_dir", fs::read_dir("/scheme/zero"), libc::ENOTDIR)
}

fn access() -> Checked {
    let mut read_only = ok("open", File::open("/scheme/zero"))?;
    fails("write", read_only.write(b"x"), libc::EBADF)?;
    let mut write_only = ok("open", OpenOptions::new().write(true).open("/scheme/zero"))?;
    fails("read", write_only.read(&mut [0]), libc::EBADF)
}
