//! The environment: `environ`, `getenv`, `setenv`, `unsetenv`.
//!
//! `environ` belongs to the program, which may point it elsewhere at any time (`std` does so before
//! `exec`). So this module owns only the array it made itself, and copies before it changes one
//! that it did not make. Old texts are never freed: somebody may hold what `getenv` returned.

use crate::errno;
use crate::lock::Lock;
use crate::pointer;
use alloc::vec::Vec;
use core::ffi::c_char;
use core::ptr::null_mut;
use libc::c_int;

/// The null-terminated array of `NAME=value` texts.
#[unsafe(no_mangle)]
pub(crate) static mut environ: *mut *mut c_char = null_mut();

/// The array that `environ` points at when this module made it.
pub(crate) static OWN: Lock<Own> = Lock::new(Own(Vec::new()));

/// See [`OWN`]. Ends with a null whenever `environ` points at it.
pub(crate) struct Own(Vec<*mut c_char>);

// SAFETY: the texts belong to the whole process.
unsafe impl Send for Own {}

/// Takes the environment that the program was started with.
pub(crate) fn adopt(list: *const *const c_char) {
    // SAFETY: the start code runs alone.
    unsafe { environ = list.cast_mut().cast() };
}

/// The environment's texts.
pub(crate) fn texts() -> impl Iterator<Item = &'static [u8]> {
    // SAFETY: `environ` is a null-terminated array of strings, or null.
    unsafe { pointer::strings(environ.cast_const().cast()) }
}

/// The value of a variable.
pub(crate) fn value(name: &[u8]) -> Option<&'static [u8]> {
    texts().find_map(|text| text.strip_prefix(name)?.strip_prefix(b"="))
}

/// Where in the array `name` is.
fn position(name: &[u8]) -> Option<usize> {
    texts().position(|text| text.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'=')))
}

/// A name is not empty and holds no `=`.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&b'=')
}

/// The value of a variable, null when there is none.
#[unsafe(no_mangle)]
unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    // SAFETY: the caller's string is NUL-terminated.
    let name = unsafe { pointer::string(name) };
    let _own = OWN.lock();
    value(name).map_or(null_mut(), |value| value.as_ptr().cast_mut().cast())
}

/// Sets a variable.
#[unsafe(no_mangle)]
unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, replace: c_int) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated, or the name is null.
    let (name, value) = unsafe { (pointer::optional_string(name), pointer::string(value)) };
    let Some(name) = name.filter(|name| is_name(name)) else {
        return errno::fail(libc::EINVAL) as c_int;
    };
    let mut own = OWN.lock();
    let place = position(name);
    if place.is_some() && replace == 0 {
        return 0;
    }
    match text(name, value) {
        Some(text) => put(&mut own, place, text),
        None => errno::fail(libc::ENOMEM) as c_int,
    }
}

/// Makes the caller's own `NAME=value` text part of the environment.
#[unsafe(no_mangle)]
unsafe extern "C" fn putenv(text: *mut c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    let bytes = unsafe { pointer::string(text) };
    let Some(end) = bytes.iter().position(|&byte| byte == b'=').filter(|&end| end > 0) else {
        return errno::fail(libc::EINVAL) as c_int;
    };
    let mut own = OWN.lock();
    put(&mut own, position(&bytes[..end]), text)
}

/// Removes a variable.
#[unsafe(no_mangle)]
unsafe extern "C" fn unsetenv(name: *const c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated or null.
    let name = unsafe { pointer::optional_string(name) };
    let Some(name) = name.filter(|name| is_name(name)) else {
        return errno::fail(libc::EINVAL) as c_int;
    };
    let mut own = OWN.lock();
    if position(name).is_none() {
        return 0;
    }
    if !make_own(&mut own) {
        return errno::fail(libc::ENOMEM) as c_int;
    }
    while let Some(place) = position(name) {
        own.0.remove(place);
    }
    0
}

/// Removes all variables.
#[unsafe(no_mangle)]
extern "C" fn clearenv() -> c_int {
    let _own = OWN.lock();
    // SAFETY: changed under the lock; null is an empty environment.
    unsafe { environ = null_mut() };
    0
}

/// `name=value` with a NUL, never to be freed.
fn text(name: &[u8], value: &[u8]) -> Option<*mut c_char> {
    let mut text = Vec::new();
    text.try_reserve_exact(name.len() + value.len() + 2).ok()?;
    text.extend_from_slice(name);
    text.push(b'=');
    text.extend_from_slice(value);
    text.push(0);
    Some(text.leak().as_mut_ptr().cast())
}

/// Puts a text at `place`, or behind the last.
fn put(own: &mut Own, place: Option<usize>, text: *mut c_char) -> c_int {
    if !make_own(own) {
        return errno::fail(libc::ENOMEM) as c_int;
    }
    match place {
        Some(place) => own.0[place] = text,
        None => own.0.insert(own.0.len() - 1, text),
    }
    // The array may have moved.
    // SAFETY: changed under the lock; the array ends with a null.
    unsafe { environ = own.0.as_mut_ptr() };
    0
}

/// Makes `environ` this module's own array with room for one more; false without memory.
fn make_own(own: &mut Own) -> bool {
    // SAFETY: read under the lock.
    let now = unsafe { environ };
    if own.0.is_empty() || now != own.0.as_mut_ptr() {
        let count = texts().count();
        let mut copy = Vec::new();
        if copy.try_reserve(count + 2).is_err() {
            return false;
        }
        copy.extend(texts().map(|text| text.as_ptr().cast_mut().cast::<c_char>()));
        copy.push(null_mut());
        // The old array is leaked, not freed: the program may have kept the pointer.
        core::mem::forget(core::mem::replace(&mut own.0, copy));
    } else if own.0.capacity() == own.0.len() {
        let mut larger = Vec::new();
        if larger.try_reserve(own.0.len() * 2).is_err() {
            return false;
        }
        larger.extend_from_slice(&own.0);
        core::mem::forget(core::mem::replace(&mut own.0, larger));
    }
    // SAFETY: changed under the lock; the array ends with a null.
    unsafe { environ = own.0.as_mut_ptr() };
    true
}
