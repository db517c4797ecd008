//! What an integration test finds: its package's files, its package's programs, its environment.

use std::process::Command;

#[test]
fn the_packages_files_are_there() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert_eq!(std::fs::read(path).unwrap(), include_bytes!("../Cargo.toml"));
    assert!(std::fs::exists("src/main.rs").unwrap(), "it starts in the package's folder");
}

#[test]
fn the_packages_programs_can_be_started() {
    let program = Command::new(env!("CARGO_BIN_EXE_stranger")).args(["7", "a 'b'\n$c"]).output();
    let output = program.unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(r#"["7", "a 'b'\n$c"] on "#));
}

#[test]
fn cargos_variables_are_set() {
    assert_eq!(std::env::var("CARGO_PKG_NAME").as_deref(), Ok("stranger"));
    assert_eq!(std::env::var("STRANGERS_OWN").as_deref(), Ok("it's here"));
}
