//! The environment against a model: a map.
#![cfg(target_os = "redox")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::sync::Mutex;

/// There is one environment for all tests.
static TURN: Mutex<()> = Mutex::new(());

#[derive(Clone, Debug)]
enum Step {
    Set(String, String),
    Keep(String, String),
    Put(String, String),
    Remove(String),
}

fn step() -> impl Strategy<Value = Step> {
    let name = "T_[A-C]{1,2}";
    let value = "[a-z=é]{0,6}";
    prop_oneof![
        (name, value).prop_map(|(name, value)| Step::Set(name, value)),
        (name, value).prop_map(|(name, value)| Step::Keep(name, value)),
        (name, value).prop_map(|(name, value)| Step::Put(name, value)),
        name.prop_map(Step::Remove),
    ]
}

fn text(text: &str) -> CString {
    CString::new(text).expect("no NUL in it")
}

fn told(name: &str) -> Option<String> {
    // SAFETY: nobody changes the environment meanwhile.
    unsafe {
        let value = libc::getenv(text(name).as_ptr());
        (!value.is_null())
            .then(|| CStr::from_ptr(value).to_str().expect("as it was set").to_owned())
    }
}

fn act(step: &Step, model: &mut BTreeMap<String, String>) {
    // SAFETY: the texts are whole; what `putenv` is given is never freed.
    let answer = unsafe {
        match step {
            Step::Set(name, value) => {
                model.insert(name.clone(), value.clone());
                libc::setenv(text(name).as_ptr(), text(value).as_ptr(), 1)
            }
            Step::Keep(name, value) => {
                model.entry(name.clone()).or_insert_with(|| value.clone());
                libc::setenv(text(name).as_ptr(), text(value).as_ptr(), 0)
            }
            Step::Put(name, value) => {
                model.insert(name.clone(), value.clone());
                libc::putenv(text(&format!("{name}={value}")).into_raw())
            }
            Step::Remove(name) => {
                model.remove(name);
                libc::unsetenv(text(name).as_ptr())
            }
        }
    };
    assert_eq!(answer, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn variables_are_what_was_set_last(steps in proptest::collection::vec(step(), 1..40)) {
        let _turn = TURN.lock().unwrap_or_else(|broken| broken.into_inner());
        let mut model = BTreeMap::new();
        for step in &steps {
            act(step, &mut model);
        }
        let all: BTreeMap<_, _> = std::env::vars().filter(|(name, _)| name.starts_with("T_")).collect();
        prop_assert_eq!(&all, &model);
        for (name, value) in &model {
            let found = told(name);
            prop_assert_eq!(found.as_ref(), Some(value));
        }
        for name in model.into_keys() {
            act(&Step::Remove(name.clone()), &mut BTreeMap::new());
            prop_assert_eq!(told(&name), None);
        }
    }
}

#[test]
fn a_name_is_not_empty_and_has_no_equals_sign() {
    for name in ["", "a=b", "="] {
        // SAFETY: the texts are whole.
        unsafe {
            assert_eq!(libc::setenv(text(name).as_ptr(), text("x").as_ptr(), 1), -1);
            assert_eq!(libc::unsetenv(text(name).as_ptr()), -1);
        }
    }
}
