//! The order services start in: every service after all it needs, else as in the manifest.
//!
//! Shutdown walks the same list backwards.

use std::fmt;

use crate::manifest::Service;

/// Why no order exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrderError {
    /// Two services carry one name.
    Twice(String),
    /// `0` needs `1`, which no service is called.
    Unknown(String, String),
    /// Each name needs the next; the last is the first again.
    Cycle(Vec<String>),
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::Twice(name) => write!(f, "two services are called `{name}`"),
            OrderError::Unknown(service, needed) => {
                write!(f, "service `{service}` needs `{needed}`, which is not defined")
            }
            OrderError::Cycle(names) => {
                write!(f, "services need each other: `{}`", names.join("` needs `"))
            }
        }
    }
}

/// Positions in `services`, in starting order.
pub(crate) fn order(services: &[Service]) -> Result<Vec<usize>, OrderError> {
    let needs = resolve(services)?;
    let mut order = Vec::with_capacity(services.len());
    let mut placed = vec![false; services.len()];
    while order.len() < services.len() {
        let free = (0..services.len())
            .find(|&at| !placed[at] && needs[at].iter().all(|&needed| placed[needed]));
        let Some(next) = free else {
            return Err(OrderError::Cycle(cycle(services, &needs, &placed)));
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// The needs of each service as positions.
fn resolve(services: &[Service]) -> Result<Vec<Vec<usize>>, OrderError> {
    for (at, service) in services.iter().enumerate() {
        if services[..at].iter().any(|earlier| earlier.name == service.name) {
            return Err(OrderError::Twice(service.name.clone()));
        }
    }
    let position = |service: &Service, needed: &String| {
        services
            .iter()
            .position(|other| other.name == *needed)
            .ok_or_else(|| OrderError::Unknown(service.name.clone(), needed.clone()))
    };
    services
        .iter()
        .map(|service| service.needs.iter().map(|needed| position(service, needed)).collect())
        .collect()
}

/// Follows unmet needs until a service comes up again. Called when every service that is not
/// placed has an unmet need, so the walk cannot end early.
fn cycle(services: &[Service], needs: &[Vec<usize>], placed: &[bool]) -> Vec<String> {
    let mut walk: Vec<usize> = Vec::new();
    let mut at = placed.iter().position(|&done| !done).expect("somebody is not placed");
    while !walk.contains(&at) {
        walk.push(at);
        let unmet = needs[at].iter().find(|&&needed| !placed[needed]);
        at = *unmet.expect("a service that is not placed has an unmet need");
    }
    let start = walk.iter().position(|&seen| seen == at).expect("the walk came back to it");
    walk[start..].iter().chain([&at]).map(|&each| services[each].name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(name: &str, needs: &[&str]) -> Service {
        Service {
            rescue: false,
            name: name.into(),
            command: format!("/bin/{name}"),
            args: Vec::new(),
            needs: needs.iter().map(|need| need.to_string()).collect(),
            schemes: Vec::new(),
            restart: Default::default(),
            memory: None,
            memory_each: None,
        }
    }

    #[test]
    fn needs_come_first_and_ties_keep_the_files_order() {
        let services =
            [service("console", &["log"]), service("ram", &[]), service("log", &["ram"])];
        assert_eq!(order(&services), Ok(vec![1, 2, 0]));
        let ties = [service("b", &[]), service("a", &[])];
        assert_eq!(order(&ties), Ok(vec![0, 1]));
    }

    #[test]
    fn an_unknown_name_is_an_error_naming_both_sides() {
        let error = order(&[service("ram", &["lgo"])]).unwrap_err();
        assert_eq!(error, OrderError::Unknown("ram".into(), "lgo".into()));
        assert_eq!(error.to_string(), "service `ram` needs `lgo`, which is not defined");
    }

    #[test]
    fn a_cycle_is_an_error_naming_its_members_only() {
        let services =
            [service("z", &["a"]), service("a", &["b"]), service("b", &["a"]), service("c", &[])];
        let error = order(&services).unwrap_err();
        assert_eq!(error.to_string(), "services need each other: `a` needs `b` needs `a`");
        assert!(matches!(order(&[service("me", &["me"])]), Err(OrderError::Cycle(_))));
    }

    #[test]
    fn a_name_may_be_used_once() {
        let error = order(&[service("a", &[]), service("a", &[])]).unwrap_err();
        assert_eq!(error, OrderError::Twice("a".into()));
    }

    proptest! {
        /// Needs only point to smaller numbers, and the list is shuffled: an order must exist.
        #[test]
        fn every_graph_without_cycles_is_ordered(
            edges in prop::collection::vec((0usize..12, 0usize..12), 0..40),
            shuffle in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let services: Vec<Service> = shuffle
                .iter()
                .map(|&id| {
                    let needs = edges.iter().filter(|(a, b)| *a == id && b < a);
                    let needs: Vec<String> = needs.map(|(_, b)| format!("s{b}")).collect();
                    let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
                    service(&format!("s{id}"), &needs)
                })
                .collect();
            let order = order(&services).unwrap();
            prop_assert_eq!(order.len(), 12);
            for (when, &at) in order.iter().enumerate() {
                for needed in &services[at].needs {
                    let before = order[..when].iter().any(|&b| services[b].name == *needed);
                    prop_assert!(before, "{} started before {}", services[at].name, needed);
                }
            }
        }
    }
}
