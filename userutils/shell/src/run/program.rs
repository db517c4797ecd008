//! Programs: finding them, and turning into one.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

use super::Flow;
use super::simple::Prepared;
use crate::state::Shell;

/// Where a command's name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// To this file.
    Program(String),
    /// To a file that may not be run.
    NotExecutable(String),
    /// Nowhere.
    Nothing,
}

impl Shell {
    /// Looks a program up: a path as it is, a bare name in `PATH`.
    pub fn find_program(&self, name: &str) -> Found {
        if name.contains(['/', ':']) {
            return check(name);
        }
        let mut forbidden = Found::Nothing;
        for directory in self.variables.get("PATH").unwrap_or_default().split_path() {
            let separator = if directory.ends_with(['/', ':']) { "" } else { "/" };
            match check(&format!("{directory}{separator}{name}")) {
                Found::Program(path) => return Found::Program(path),
                Found::NotExecutable(path) => forbidden = Found::NotExecutable(path),
                Found::Nothing => {}
            }
        }
        forbidden
    }

    /// Turns this process into a program. Comes back only with a failure's status: 127 when
    /// there is no such program, 126 when it cannot be run.
    pub(super) fn become_program(&mut self, prepared: &Prepared) -> Flow {
        let name = &prepared.args[0];
        if let Err(error) = self.redirect_for_good(prepared.redirects) {
            return Err(self.failed(error));
        }
        let path = match self.find_program(name) {
            Found::Program(path) => path,
            Found::NotExecutable(path) => {
                self.complain(format_args!("{path}: cannot be executed"));
                return Ok(126);
            }
            Found::Nothing => {
                self.complain(format_args!("{name}: command not found"));
                return Ok(127);
            }
        };
        for (name, value) in &prepared.assignments {
            if let Err(error) = self.variables.set_for_command(name, value.clone()) {
                return Err(self.failed(error));
            }
        }
        self.execute(&path, &prepared.args)
    }

    fn execute(&mut self, path: &str, args: &[String]) -> Flow {
        let mut command = Command::new(absolute(path));
        command.arg0(&args[0]).args(&args[1..]);
        command.env_clear().envs(self.variables.exported());
        let error = command.exec();
        if error.raw_os_error() == Some(libc::ENOEXEC) {
            return self.execute_script(path, args);
        }
        self.complain(format_args!("{path}: {error}"));
        Ok(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
    }

    /// A text file: its `#!` line names what runs it, otherwise this shell does.
    fn execute_script(&mut self, path: &str, args: &[String]) -> Flow {
        let text = match fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) if !text.contains('\0') => text,
            Ok(_) => {
                self.complain(format_args!("{path}: is neither a program nor a script"));
                return Ok(126);
            }
            Err(error) => {
                self.complain(format_args!("{path}: {error}"));
                return Ok(126);
            }
        };
        let Some((interpreter, argument)) = interpreter(&text) else {
            return self.become_script(path, &args[1..], &text);
        };
        let mut command = Command::new(absolute(interpreter));
        command.args(argument).arg(path).args(&args[1..]);
        let error = command.env_clear().envs(self.variables.exported()).exec();
        self.complain(format_args!("{path}: {interpreter}: {error}"));
        Ok(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
    }

    /// Runs a script in this process as a new shell would: with nothing but the environment.
    fn become_script(&mut self, path: &str, args: &[String], text: &str) -> Flow {
        let exported: Vec<(String, String)> = self
            .variables
            .exported()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut shell = Shell::new(path, args.to_vec());
        for (name, value) in exported {
            // Nothing is read-only in a new shell.
            let _ = shell.variables.set_for_command(&name, value);
        }
        *self = shell;
        self.run_text(text, true)
    }
}

fn check(path: &str) -> Found {
    match fs::metadata(path) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => {
            Found::Program(path.to_owned())
        }
        Ok(_) => Found::NotExecutable(path.to_owned()),
        Err(_) => Found::Nothing,
    }
}

/// `NAME:rest` has no slash, and std would look it up in `PATH`; the other spelling has.
fn absolute(path: &str) -> String {
    match path.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => {
            format!("/scheme/{scheme}/{}", rest.trim_start_matches('/'))
        }
        _ => path.to_owned(),
    }
}

/// What `#!` names, with its one argument.
fn interpreter(text: &str) -> Option<(&str, Option<&str>)> {
    let line = text.lines().next()?.strip_prefix("#!")?.trim();
    match line.split_once([' ', '\t']) {
        Some((interpreter, argument)) => Some((interpreter, Some(argument.trim()))),
        None if line.is_empty() => None,
        None => Some((line, None)),
    }
}

/// `PATH`, taken apart: an empty part is the working directory.
trait SplitPath {
    fn split_path(&self) -> impl Iterator<Item = &str>;
}

impl SplitPath for str {
    fn split_path(&self) -> impl Iterator<Item = &str> {
        self.split(':').map(|part| if part.is_empty() { "." } else { part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_their_interpreter() {
        assert_eq!(interpreter("#!/bin/sh\necho"), Some(("/bin/sh", None)));
        assert_eq!(interpreter("#! /bin/env  sh -x\n"), Some(("/bin/env", Some("sh -x"))));
        assert_eq!(interpreter("echo #!/bin/sh"), None);
        assert_eq!(interpreter("#!\n"), None);
    }

    #[test]
    fn scheme_paths_get_a_slash() {
        assert_eq!(absolute("initfs:bin/ls"), "/scheme/initfs/bin/ls");
        assert_eq!(absolute("initfs:/bin/ls"), "/scheme/initfs/bin/ls");
        assert_eq!(absolute("./a:b"), "./a:b");
        assert_eq!(absolute("/bin/ls"), "/bin/ls");
    }

    #[test]
    fn programs_are_found_in_path() {
        let mut shell = Shell::new("sh", Vec::new());
        shell.variables.set("PATH", "/none:/bin:/usr/bin").unwrap();
        assert_eq!(shell.find_program("sh"), Found::Program("/bin/sh".into()));
        assert_eq!(shell.find_program("no-such-program"), Found::Nothing);
        assert_eq!(shell.find_program("/etc/passwd"), Found::NotExecutable("/etc/passwd".into()));
    }
}
