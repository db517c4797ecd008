//! `/etc/init.toml` — what runs besides the shell, and what is mounted where.
//!
//! ```toml
//! [environment]
//! PATH = "/bin"
//!
//! [[service]]
//! name = "ram"
//! command = "/bin/ram"
//! args = ["--limit", "64M"]
//! needs = ["log"]
//! schemes = ["ram"]       # ready once all of these exist; without any, ready at once
//! restart = "on-failure"  # never | always | on-failure (the default)
//! memory = "32M"          # no more than that, with all it starts; without it, no limit
//! memory_each = "16M"     # and each of them no more than that
//! rescue = true           # runs for the rescue shell as well; false if left out
//!
//! [[mount]]
//! at = "/tmp"
//! target = "ram:/"
//! optional = true         # left out when there is no such device; false if left out
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::restart::Rule;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Environment of every service and of the shell, on top of [`Manifest::environment`].
    #[serde(default, rename = "environment")]
    overrides: BTreeMap<String, String>,
    /// In the order of the file, which decides between services that could start at once.
    #[serde(default, rename = "service")]
    pub(crate) services: Vec<Service>,
    /// Applied in order, once all services are ready.
    #[serde(default, rename = "mount")]
    pub(crate) mounts: Vec<Mount>,
}

/// One daemon.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// Unique; what `needs` of others refers to.
    pub(crate) name: String,
    /// Absolute path of the program.
    pub(crate) command: String,
    /// Its arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Services that must be ready first.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    /// The schemes whose existence, of all together, means "ready".
    #[serde(default)]
    pub(crate) schemes: Vec<String>,
    /// What to do when it ends.
    #[serde(default)]
    pub(crate) restart: Rule,
    /// How much memory it and what it starts may have together.
    pub(crate) memory: Option<String>,
    /// How much each of them may have.
    pub(crate) memory_each: Option<String>,
    /// Whether it is started for a rescue shell as well.
    #[serde(default)]
    pub(crate) rescue: bool,
}

/// One line for `sys:mount`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    /// The path prefix.
    pub(crate) at: String,
    /// The scheme path that stands behind it.
    pub(crate) target: String,
    /// Whether it is left out when there is no such device.
    #[serde(default)]
    pub(crate) optional: bool,
}

impl Manifest {
    /// Reads the file's text. The error says line and reason.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Leaves only what a rescue shell needs: its services.
    pub(crate) fn for_rescue(mut self) -> Self {
        self.services.retain(|service| service.rescue);
        self
    }

    /// The environment programs start with: built-in values first, the file's above them.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let builtin = [("PATH", "/bin"), ("HOME", "/tmp"), ("USER", "root"), ("TERM", "xterm")];
        let mut all: BTreeMap<_, _> =
            builtin.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        all.extend(self.overrides.clone());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_manifest_reads() {
        let manifest = Manifest::parse(
            r#"
            [environment]
            HOME = "/home"
            [[service]]
            name = "ram"
            command = "/bin/ram"
            args = ["-v"]
            needs = ["log"]
            schemes = ["ram"]
            restart = "always"
            [[mount]]
            at = "/tmp"
            target = "ram:/"
            "#,
        )
        .unwrap();
        assert_eq!(manifest.services[0].needs, ["log"]);
        assert_eq!(manifest.services[0].restart, Rule::Always);
        let tmp = Mount { at: "/tmp".into(), target: "ram:/".into(), optional: false };
        assert_eq!(manifest.mounts[0], tmp);
        assert_eq!(manifest.environment()["HOME"], "/home");
        assert_eq!(manifest.environment()["PATH"], "/bin");
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let manifest = Manifest::parse("[[service]]\nname = 'a'\ncommand = '/bin/a'\n").unwrap();
        assert_eq!(manifest.services[0].schemes, [""; 0]);
        assert_eq!(manifest.services[0].restart, Rule::OnFailure);
        assert_eq!(Manifest::parse("").unwrap(), Manifest::default());
    }

    #[test]
    fn a_rescue_shell_gets_its_services_only() {
        let text = "[[service]]\nname='a'\ncommand='/a'\n\
                    [[service]]\nname='b'\ncommand='/b'\nrescue=true\n\
                    [[mount]]\nat='/tmp'\ntarget='b:'\n";
        let manifest = Manifest::parse(text).unwrap().for_rescue();
        assert_eq!(manifest.services.iter().map(|s| &s.name).collect::<Vec<_>>(), ["b"]);
        assert_eq!(manifest.mounts.len(), 1);
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_it() {
        let error = Manifest::parse("[[service]]\nname='a'\ncommand='b'\nneed=['c']\n");
        assert!(error.unwrap_err().contains("need"));
    }
}
