//! Whether a person here can be shown a window.

use crate::machine::Machine;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long a display on another machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The port of display 0 (X11).
const FIRST_PORT: u16 = 6000;

/// Whether to open one. `NOGRAPHIC=1` says no; what else is against it is said here.
pub(crate) fn is_wanted() -> bool {
    let is_off = std::env::var("NOGRAPHIC").is_ok_and(|value| value == "1");
    let displays = displays();
    if is_off || displays.is_empty() {
        return false;
    }
    let why_not = match displays.iter().find(|display| display.answers()) {
        None => format!("nothing answers at the display {}", displays[0].name()),
        Some(_) if !qemu_opens_windows() => {
            "this QEMU opens none (Debian: install qemu-system-gui)".to_owned()
        }
        Some(_) => return true,
    };
    eprintln!("No window, only this terminal: {why_not}.");
    false
}

/// A display that the environment names.
#[derive(Debug, PartialEq, Eq)]
enum Display {
    Wayland(PathBuf),
    /// X11: a host, or none for this machine, and a number.
    X11(String, u16),
    Unknown(String),
}

fn displays() -> Vec<Display> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let wayland = set("WAYLAND_DISPLAY").map(|name| {
        let folder = PathBuf::from(set("XDG_RUNTIME_DIR").unwrap_or_default());
        Display::Wayland(folder.join(name))
    });
    wayland.into_iter().chain(set("DISPLAY").map(|name| Display::x11(&name))).collect()
}

impl Display {
    /// `HOST:NUMBER.SCREEN`, of which only the number must be there.
    fn x11(name: &str) -> Self {
        let parsed = name.rsplit_once(':').and_then(|(host, number)| {
            let number = number.split('.').next()?.parse().ok()?;
            Some(Self::X11(if host == "unix" { String::new() } else { host.to_owned() }, number))
        });
        parsed.unwrap_or_else(|| Self::Unknown(name.to_owned()))
    }

    fn name(&self) -> String {
        match self {
            Self::Wayland(path) => path.display().to_string(),
            Self::X11(host, number) => format!("{host}:{number}"),
            Self::Unknown(name) => name.clone(),
        }
    }

    fn answers(&self) -> bool {
        match self {
            Self::Wayland(path) => UnixStream::connect(path).is_ok(),
            Self::X11(host, number) if host.is_empty() => {
                UnixStream::connect(format!("/tmp/.X11-unix/X{number}")).is_ok()
            }
            Self::X11(host, number) => {
                let Some(port) = FIRST_PORT.checked_add(*number) else { return false };
                let addresses = (host.as_str(), port).to_socket_addrs();
                addresses.is_ok_and(|mut addresses| {
                    addresses.any(|at| TcpStream::connect_timeout(&at, PATIENCE).is_ok())
                })
            }
            Self::Unknown(_) => false,
        }
    }
}

/// Whether QEMU was built, or installed, with a window.
fn qemu_opens_windows() -> bool {
    let program = Machine::default().program;
    let help = Command::new(program).args(["-display", "help"]).output();
    let Ok(help) = help else { return false };
    String::from_utf8_lossy(&help.stdout)
        .lines()
        .any(|line| matches!(line, "gtk" | "sdl" | "cocoa"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_displays_are_read() {
        assert_eq!(Display::x11(":0"), Display::X11(String::new(), 0));
        assert_eq!(Display::x11("unix:1.0"), Display::X11(String::new(), 1));
        assert_eq!(Display::x11("localhost:10.0"), Display::X11("localhost".into(), 10));
        assert_eq!(Display::x11("nonsense"), Display::Unknown("nonsense".into()));
    }

    #[test]
    fn where_nobody_listens_nothing_answers() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("wayland-0");
        assert!(!Display::Wayland(socket.clone()).answers());
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(Display::Wayland(socket).answers());
        assert!(!Display::Unknown("x".into()).answers());
    }
}
