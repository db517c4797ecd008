//! A program that says where it runs and ends as it is told. Its tests are those of a crate that
//! knows nothing of Lifeboat.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "forever") {
        std::thread::park_timeout(std::time::Duration::MAX);
    }
    println!("{words:?} on {} CPUs", std::thread::available_parallelism().map_or(0, |it| it.get()));
    ExitCode::from(words.first().and_then(|word| word.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;
    use std::panic::catch_unwind;

    #[test]
    fn a_panic_is_caught() {
        let caught = catch_unwind(|| panic!("caught")).unwrap_err();
        assert_eq!(caught.downcast_ref(), Some(&"caught"));
    }

    #[test]
    fn values_are_dropped_on_the_way() {
        let shared = std::sync::Arc::new(());
        let held = shared.clone();
        let thread = std::thread::spawn(move || {
            let _held = held;
            panic!("in a thread")
        });
        assert!(thread.join().is_err());
        assert_eq!(std::sync::Arc::strong_count(&shared), 1);
    }

    #[test]
    #[should_panic = "expected"]
    fn a_test_should_panic() {
        panic!("expected");
    }

    #[test]
    fn a_backtrace_has_names() {
        let text = Backtrace::force_capture().to_string();
        assert!(text.contains("a_backtrace_has_names") && text.contains("main.rs"), "{text}");
    }

    #[test]
    #[ignore = "fails, to be seen failing"]
    fn fails() {
        assert_eq!(1, 2, "on purpose");
    }
}
