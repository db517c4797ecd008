//! Mathematics, from the crate `libm`. What `compiler-builtins` exports itself is not repeated.

use libc::c_int;

/// Exports functions of `libm` under their C names.
macro_rules! export {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`.")]
            #[unsafe(no_mangle)]
            extern "C" fn $name($($argument: $type),*) -> $answer {
                libm::$name($($argument),*)
            }
        )*
    };
}

export! {
    acos(x: f64) -> f64;
    acosf(x: f32) -> f32;
    acosh(x: f64) -> f64;
    acoshf(x: f32) -> f32;
    asin(x: f64) -> f64;
    asinf(x: f32) -> f32;
    asinh(x: f64) -> f64;
    asinhf(x: f32) -> f32;
    atan(x: f64) -> f64;
    atan2(y: f64, x: f64) -> f64;
    atan2f(y: f32, x: f32) -> f32;
    atanf(x: f32) -> f32;
    atanh(x: f64) -> f64;
    atanhf(x: f32) -> f32;
    cos(x: f64) -> f64;
    cosf(x: f32) -> f32;
    cosh(x: f64) -> f64;
    coshf(x: f32) -> f32;
    erf(x: f64) -> f64;
    erfc(x: f64) -> f64;
    erfcf(x: f32) -> f32;
    erff(x: f32) -> f32;
    exp(x: f64) -> f64;
    exp10(x: f64) -> f64;
    exp10f(x: f32) -> f32;
    exp2(x: f64) -> f64;
    exp2f(x: f32) -> f32;
    expf(x: f32) -> f32;
    expm1(x: f64) -> f64;
    expm1f(x: f32) -> f32;
    hypot(x: f64, y: f64) -> f64;
    hypotf(x: f32, y: f32) -> f32;
    ldexp(x: f64, n: c_int) -> f64;
    ldexpf(x: f32, n: c_int) -> f32;
    log(x: f64) -> f64;
    log10(x: f64) -> f64;
    log10f(x: f32) -> f32;
    log1p(x: f64) -> f64;
    log1pf(x: f32) -> f32;
    log2(x: f64) -> f64;
    log2f(x: f32) -> f32;
    logf(x: f32) -> f32;
    pow(x: f64, y: f64) -> f64;
    powf(x: f32, y: f32) -> f32;
    remainder(x: f64, y: f64) -> f64;
    remainderf(x: f32, y: f32) -> f32;
    sin(x: f64) -> f64;
    sinf(x: f32) -> f32;
    sinh(x: f64) -> f64;
    sinhf(x: f32) -> f32;
    tan(x: f64) -> f64;
    tanf(x: f32) -> f32;
    tanh(x: f64) -> f64;
    tanhf(x: f32) -> f32;
    tgamma(x: f64) -> f64;
    tgammaf(x: f32) -> f32;
}

/// The logarithm of the gamma function and, at `sign`, the sign of that.
#[unsafe(no_mangle)]
unsafe extern "C" fn lgamma_r(x: f64, sign: *mut c_int) -> f64 {
    let (value, found) = libm::lgamma_r(x);
    // SAFETY: the caller gave a place for the sign.
    unsafe { sign.write(found) };
    value
}

/// The same for `float`.
#[unsafe(no_mangle)]
unsafe extern "C" fn lgammaf_r(x: f32, sign: *mut c_int) -> f32 {
    let (value, found) = libm::lgammaf_r(x);
    // SAFETY: the caller gave a place for the sign.
    unsafe { sign.write(found) };
    value
}
