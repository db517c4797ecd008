//! `/etc/init.toml`: what init starts and mounts, checked here so that init need not doubt it.

use crate::manifest::{Manifest, Mistake, Mount, Service};
use initfs_format::{Archive, Kind};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// Where init reads it.
pub(crate) const PATH: &str = "/etc/init.toml";
/// No program starts with less memory: 1 MiB.
const MEMORY_LEAST: u64 = 1 << 20;

#[derive(Serialize)]
struct InitFile<'m> {
    environment: BTreeMap<&'m String, &'m String>,
    service: Vec<ServiceRow<'m>>,
    mount: Vec<MountRow<'m>>,
}

#[derive(Serialize)]
struct ServiceRow<'m> {
    name: &'m str,
    command: &'m str,
    args: &'m [String],
    needs: &'m [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    schemes: &'m [String],
    restart: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_each: Option<&'m str>,
    #[serde(skip_serializing_if = "is_false")]
    rescue: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize)]
struct MountRow<'m> {
    at: &'m str,
    target: &'m str,
    #[serde(skip_serializing_if = "is_false")]
    optional: bool,
}

fn all_services(manifests: &[Manifest]) -> impl Iterator<Item = (&Manifest, &Spanned<Service>)> {
    manifests
        .iter()
        .flat_map(|manifest| manifest.sections.service.iter().map(move |at| (manifest, at)))
}

fn all_mounts(manifests: &[Manifest]) -> impl Iterator<Item = (&Manifest, &Spanned<Mount>)> {
    manifests
        .iter()
        .flat_map(|manifest| manifest.sections.mount.iter().map(move |at| (manifest, at)))
}

/// The file's text: services and mounts in the order of the manifests.
pub(crate) fn render(manifests: &[Manifest]) -> anyhow::Result<String> {
    let environment =
        manifests.iter().flat_map(|manifest| &manifest.sections.environment).collect();
    let service = all_services(manifests).map(|(_, at)| row(at.get_ref())).collect();
    let mount = all_mounts(manifests)
        .map(|(_, at)| {
            let Mount { at, target, optional } = at.get_ref();
            MountRow { at, target, optional: *optional }
        })
        .collect();
    Ok(toml::to_string(&InitFile { environment, service, mount })?)
}

fn row(service: &Service) -> ServiceRow<'_> {
    ServiceRow {
        name: &service.name,
        command: &service.command,
        args: &service.args,
        needs: &service.needs,
        schemes: service.scheme.as_slice(),
        restart: service.restart.name(),
        memory: service.memory.as_ref().map(|size| size.get_ref().as_str()),
        memory_each: service.memory_each.as_ref().map(|size| size.get_ref().as_str()),
        rescue: service.rescue,
    }
}

/// Looks for services that cannot be started and mounts that lead nowhere.
pub(crate) fn check(manifests: &[Manifest], archive: &Archive<'_>) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    let mut schemes = BTreeSet::from(["initfs"]);
    for (manifest, at) in all_services(manifests) {
        let service = at.get_ref();
        check_command(manifest, at, archive)?;
        for limit in [&service.memory, &service.memory_each].into_iter().flatten() {
            check_memory(manifest, limit)?;
        }
        if !names.insert(service.name.as_str()) {
            let message = format!("a second service is called {:?}", service.name);
            return Err(manifest.mistake(at, message).into());
        }
        let taken = service.scheme.as_slice().iter().find(|name| !schemes.insert(name.as_str()));
        if let Some(scheme) = taken {
            let message = format!("scheme {scheme:?} is given twice");
            return Err(manifest.mistake(at, message).into());
        }
    }
    check_needs(manifests, &names)?;
    for (manifest, at) in all_mounts(manifests) {
        check_mount(manifest, at, &schemes)?;
    }
    Ok(())
}

fn check_command(
    manifest: &Manifest,
    at: &Spanned<Service>,
    archive: &Archive<'_>,
) -> Result<(), Mistake> {
    let command = &at.get_ref().command;
    match archive.lookup(command, true) {
        Ok(entry) if entry.kind() == Kind::File && entry.mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(manifest.mistake(at, format!("command {command:?} is not executable"))),
        Err(error) => Err(manifest.mistake(at, format!("command {command:?}: {error}"))),
    }
}

/// A limit of memory is a number of bytes, or one with a unit, and enough for a program.
fn check_memory(manifest: &Manifest, at: &Spanned<String>) -> Result<(), Mistake> {
    match crate::disk::size(at.get_ref()) {
        Ok(MEMORY_LEAST..) => Ok(()),
        Ok(_) => {
            let found = at.get_ref();
            Err(manifest.mistake(at, format!("expected at least 1M of memory, found {found:?}")))
        }
        Err(message) => Err(manifest.mistake(at, message)),
    }
}

/// Every need is a service, and starting them one after the other is possible.
fn check_needs(manifests: &[Manifest], names: &BTreeSet<&str>) -> Result<(), Mistake> {
    let rescue: BTreeSet<&str> = all_services(manifests)
        .filter(|(_, at)| at.get_ref().rescue)
        .map(|(_, at)| at.get_ref().name.as_str())
        .collect();
    let mut waiting = BTreeMap::new();
    for (manifest, at) in all_services(manifests) {
        let Service { name, needs, .. } = at.get_ref();
        if let Some(unknown) = needs.iter().find(|need| !names.contains(need.as_str())) {
            let message = format!("service {name:?} needs {unknown:?}, which is no service");
            return Err(manifest.mistake(at, message));
        }
        if rescue.contains(name.as_str())
            && let Some(need) = needs.iter().find(|need| !rescue.contains(need.as_str()))
        {
            let message =
                format!("service {name:?} is for rescue, but it needs {need:?}, which is not");
            return Err(manifest.mistake(at, message));
        }
        waiting.insert(name.as_str(), (manifest, at));
    }
    loop {
        let is_free = |at: &Spanned<Service>| {
            at.get_ref().needs.iter().all(|need| !waiting.contains_key(need.as_str()))
        };
        let startable = waiting.iter().find(|(_, (_, at))| is_free(at)).map(|(name, _)| *name);
        match startable {
            Some(name) => waiting.remove(name),
            None => break,
        };
    }
    let names = waiting.keys().copied().collect::<Vec<_>>().join(", ");
    match waiting.into_values().next() {
        None => Ok(()),
        Some((manifest, at)) => {
            Err(manifest.mistake(at, format!("services wait for each other: {names}")))
        }
    }
}

fn check_mount(
    manifest: &Manifest,
    at: &Spanned<Mount>,
    schemes: &BTreeSet<&str>,
) -> Result<(), Mistake> {
    let Mount { at: path, target, .. } = at.get_ref();
    if !path.starts_with('/') || path == "/" {
        let message = format!("expected an absolute path other than `/` in `at`, found {path:?}");
        return Err(manifest.mistake(at, message));
    }
    match target.split_once(':') {
        Some((scheme, _)) if schemes.contains(scheme) => Ok(()),
        Some((scheme, _)) => {
            Err(manifest.mistake(at, format!("no service gives the scheme {scheme:?}")))
        }
        None => {
            Err(manifest
                .mistake(at, format!("expected `SCHEME:path` in `target`, found {target:?}")))
        }
    }
}
