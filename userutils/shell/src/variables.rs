//! Variables: values, and which of them programs inherit.

use std::collections::BTreeMap;

/// One variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Variable {
    /// `None`: marked (`export x`) but not set.
    value: Option<String>,
    exported: bool,
    readonly: bool,
}

/// All variables, with what functions have hidden by `local`.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    current: BTreeMap<String, Variable>,
    /// Per running function: what its locals were before.
    hidden: Vec<Vec<(String, Option<Variable>)>>,
}

/// What a variable was, to be put back.
#[derive(Debug)]
pub struct Before(String, Option<Variable>);

impl Variables {
    /// From an environment: all exported.
    pub fn from_environment(environment: impl Iterator<Item = (String, String)>) -> Self {
        let exported = |(name, value)| {
            (name, Variable { value: Some(value), exported: true, readonly: false })
        };
        Self { current: environment.map(exported).collect(), hidden: Vec::new() }
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.current.get(name)?.value.as_deref()
    }

    /// Gives a value; refused for a `readonly` one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<(), String> {
        let variable = self.writable(name)?;
        variable.value = Some(value.into());
        Ok(())
    }

    fn writable(&mut self, name: &str) -> Result<&mut Variable, String> {
        let variable = self.current.entry(name.to_owned()).or_default();
        if variable.readonly { Err(format!("{name}: is read-only")) } else { Ok(variable) }
    }

    /// Forgets a variable.
    pub fn unset(&mut self, name: &str) -> Result<(), String> {
        self.writable(name)?;
        self.current.remove(name);
        Ok(())
    }

    /// Programs inherit it from now on, or no longer.
    pub fn export(&mut self, name: &str, exported: bool) {
        self.current.entry(name.to_owned()).or_default().exported = exported;
    }

    /// It can no longer change.
    pub fn make_readonly(&mut self, name: &str) {
        self.current.entry(name.to_owned()).or_default().readonly = true;
    }

    /// Sets and exports for one command; [`Variables::restore`] takes it back.
    pub fn set_for_command(&mut self, name: &str, value: String) -> Result<Before, String> {
        let before = Before(name.to_owned(), self.current.get(name).cloned());
        self.set(name, value)?;
        self.export(name, true);
        Ok(before)
    }

    /// As it was before.
    pub fn restore(&mut self, Before(name, variable): Before) {
        match variable {
            Some(variable) => self.current.insert(name, variable),
            None => self.current.remove(&name),
        };
    }

    /// A function begins.
    pub fn enter_function(&mut self) {
        self.hidden.push(Vec::new());
    }

    /// It ends: its locals go.
    pub fn leave_function(&mut self) {
        for (name, variable) in self.hidden.pop().into_iter().flatten().rev() {
            self.restore(Before(name, variable));
        }
    }

    /// From here to the end of the function, `name` is another variable. False outside of one.
    pub fn make_local(&mut self, name: &str) -> bool {
        let Some(frame) = self.hidden.last_mut() else { return false };
        let before = self.current.get(name).cloned();
        // It keeps the value, as in other shells, until it is set.
        frame.push((name.to_owned(), before));
        true
    }

    /// What a program inherits.
    pub fn exported(&self) -> impl Iterator<Item = (&str, &str)> {
        let visible = self.current.iter().filter(|(_, variable)| variable.exported);
        visible.filter_map(|(name, variable)| Some((name.as_str(), variable.value.as_deref()?)))
    }

    /// Everything that has a value, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let value = |variable: &'_ Variable| variable.value.is_some();
        let set = self.current.iter().filter(move |(_, variable)| value(variable));
        set.filter_map(|(name, variable)| Some((name.as_str(), variable.value.as_deref()?)))
    }

    /// The names marked `readonly`.
    pub fn readonly(&self) -> impl Iterator<Item = &str> {
        self.current.iter().filter(|(_, variable)| variable.readonly).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables::from_environment([("PATH".to_owned(), "/bin".to_owned())].into_iter())
    }

    #[test]
    fn only_exported_values_are_inherited() {
        let mut variables = variables();
        variables.set("a", "1").unwrap();
        variables.export("later", true);
        assert_eq!(variables.exported().collect::<Vec<_>>(), [("PATH", "/bin")]);
        variables.set("later", "2").unwrap();
        variables.export("a", true);
        assert_eq!(variables.exported().count(), 3);
        variables.unset("a").unwrap();
        assert_eq!(variables.get("a"), None);
    }

    #[test]
    fn read_only_stays() {
        let mut variables = variables();
        variables.make_readonly("PATH");
        assert_eq!(variables.set("PATH", "x").unwrap_err(), "PATH: is read-only");
        assert!(variables.unset("PATH").is_err());
        assert_eq!(variables.get("PATH"), Some("/bin"));
        assert_eq!(variables.readonly().collect::<Vec<_>>(), ["PATH"]);
    }

    #[test]
    fn a_functions_locals_go_with_it() {
        let mut variables = variables();
        variables.set("x", "outside").unwrap();
        assert!(!variables.make_local("x"));
        variables.enter_function();
        assert!(variables.make_local("x") && variables.make_local("new"));
        variables.set("x", "inside").unwrap();
        variables.set("new", "1").unwrap();
        variables.leave_function();
        assert_eq!((variables.get("x"), variables.get("new")), (Some("outside"), None));
    }

    #[test]
    fn a_commands_own_values_go_with_it() {
        let mut variables = variables();
        let before = variables.set_for_command("a", "1".into()).unwrap();
        assert!(variables.exported().any(|(name, _)| name == "a"));
        variables.restore(before);
        assert_eq!(variables.get("a"), None);
    }
}
