//! UEFI firmware for QEMU, which boots a disk as a PC does.

use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Knows the usual places, and prints one.
const FINDER: &str = "tools/ovmf.sh";

/// Where this machine has firmware, if it does.
pub(crate) fn find() -> Result<Option<PathBuf>> {
    let output = Command::new(FINDER).output().with_context(|| format!("running {FINDER}"))?;
    if !output.status.success() {
        return Ok(None);
    }
    let path = String::from_utf8(output.stdout).context("the firmware's path")?;
    Ok(Some(path.trim_end().into()))
}

/// How QEMU is told. Files with code alone are flash memory, the others also hold variables.
pub(crate) fn arguments(file: &Path) -> Vec<OsString> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains("CODE") {
        return vec!["-bios".into(), file.into()];
    }
    let format = if name.ends_with(".qcow2") { "qcow2" } else { "raw" };
    let drive = format!("if=pflash,unit=0,readonly=on,format={format},file=");
    vec!["-drive".into(), crate::machine::with_path(&drive, file)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(file: &str) -> String {
        let words = arguments(Path::new(file));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn code_alone_is_flash_memory() {
        assert_eq!(line("/x/OVMF.fd"), "-bios /x/OVMF.fd");
        let raw = "-drive if=pflash,unit=0,readonly=on,format=raw,file=/x/OVMF_CODE_4M.fd";
        assert_eq!(line("/x/OVMF_CODE_4M.fd"), raw);
        assert!(line("/x/OVMF_CODE_4M.qcow2").contains("format=qcow2"));
    }
}
