//! `pthread_key_*`: one value per thread under each key.

use super::control;
use crate::lock::Lock;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::null_mut;
use libc::{c_int, pthread_key_t};

/// How many keys a program may have; the least that POSIX allows.
const KEYS_MAX: usize = 128;

/// How often destructors that set new values are run again.
const ROUNDS_MAX: usize = 4;

type Destructor = unsafe extern "C" fn(*mut c_void);

/// One key. A key that is used again has another generation, so that values left from the time
/// before read as null.
#[derive(Clone, Copy)]
struct Key {
    generation: u32,
    used: bool,
    destructor: Option<Destructor>,
}

/// All keys. Number 0 is never given out: programs take it for "none".
pub(crate) static KEYS: Lock<Keys> =
    Lock::new(Keys([Key { generation: 0, used: false, destructor: None }; KEYS_MAX]));

/// See [`KEYS`].
pub(crate) struct Keys([Key; KEYS_MAX]);

/// A thread's values, each with the generation it was set under. All zero is all null.
pub(crate) struct Values {
    /// Whether any was ever set; most threads set none.
    are_some: Cell<bool>,
    by_key: [Cell<(u32, *mut c_void)>; KEYS_MAX],
}

impl Keys {
    fn used(&mut self, key: pthread_key_t) -> Option<&mut Key> {
        self.0.get_mut(key).filter(|key| key.used)
    }
}

/// Makes a key. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(
    place: *mut pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    let mut keys = KEYS.lock();
    let Some(free) = keys.0.iter().skip(1).position(|key| !key.used) else {
        return libc::EAGAIN;
    };
    let key = &mut keys.0[free + 1];
    *key = Key { generation: key.generation.wrapping_add(1), used: true, destructor };
    // SAFETY: the caller gave a place for the answer.
    unsafe { place.write(free + 1) };
    0
}

/// Takes a key away; destructors are not run. Returns an error number.
#[unsafe(no_mangle)]
extern "C" fn pthread_key_delete(key: pthread_key_t) -> c_int {
    match KEYS.lock().used(key) {
        Some(key) => {
            key.used = false;
            0
        }
        None => libc::EINVAL,
    }
}

/// Sets this thread's value. Returns an error number.
#[unsafe(no_mangle)]
extern "C" fn pthread_setspecific(key: pthread_key_t, value: *const c_void) -> c_int {
    let Some(generation) = KEYS.lock().used(key).map(|key| key.generation) else {
        return libc::EINVAL;
    };
    let values = &control::current().values;
    values.are_some.set(true);
    values.by_key[key].set((generation, value.cast_mut()));
    0
}

/// This thread's value, null when it has none.
#[unsafe(no_mangle)]
extern "C" fn pthread_getspecific(key: pthread_key_t) -> *mut c_void {
    let Some(value) = control::current().values.by_key.get(key) else {
        return null_mut();
    };
    let (generation, value) = value.get();
    if value.is_null() {
        return value;
    }
    match KEYS.lock().used(key) {
        Some(key) if key.generation == generation => value,
        _ => null_mut(),
    }
}

/// Runs the destructors of a thread that ends.
pub(crate) fn run_destructors() {
    if !control::current().values.are_some.get() {
        return;
    }
    for _ in 0..ROUNDS_MAX {
        let mut found = false;
        for key in 1..KEYS_MAX {
            found |= run_destructor(key);
        }
        if !found {
            return;
        }
    }
}

/// Runs the destructor of one value, if it has both. The lock is not held meanwhile.
fn run_destructor(key: pthread_key_t) -> bool {
    let (generation, value) = control::current().values.by_key[key].replace((0, null_mut()));
    if value.is_null() {
        return false;
    }
    let known = KEYS.lock().used(key).filter(|key| key.generation == generation).copied();
    let Some(destructor) = known.and_then(|key| key.destructor) else {
        return false;
    };
    // SAFETY: the program gave this function for this key's values.
    unsafe { destructor(value) };
    true
}
