//! `sys:scheme` — the scheme names, and who serves them: a line each, `NAME kernel` or `NAME user
//! PID`.

use super::Row;
use crate::machine::Machine;
use crate::namespace::Root;
use crate::scheme::SchemeId;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "scheme",
        help: "scheme names, and who serves them",
        read: |k, caller| {
            let view = &k.processes[caller.process.0].view;
            let names: Vec<(String, Root)> = k
                .namespace
                .schemes()
                .filter(|(name, _)| view.has(name))
                .map(|(name, root)| (name.to_string(), root))
                .collect();
            let line = |(name, root): (String, Root)| match root {
                Root::Kernel(_) => format!("{name} kernel\n"),
                Root::User(id) => {
                    let server = match k.descriptions[id.0].scheme {
                        SchemeId::User(server) => k.user_schemes.get(server),
                        SchemeId::Kernel(_) => None,
                    };
                    format!("{name} user {}\n", server.map_or(0, |server| server.owner))
                }
            };
            names.into_iter().map(line).collect()
        },
        write: None,
    }
}
