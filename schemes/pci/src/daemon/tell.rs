//! What the daemon tells: about a function, and which there are.

use pci_types::ConfigRegionAccess;
use syscall::dirent::DirentKind;
use syscall::error::{ENOTDIR, Error, Result};

use super::{Handle, Pci};

/// Configuration space of a function.
pub(super) const CONFIG: usize = 4096;
/// The files of a function.
const FILES: [&str; 3] = ["info", "config", "claim"];

impl Pci {
    /// What is told about a function now.
    pub(super) fn info(&self, index: usize) -> String {
        let function = &self.functions[index];
        let mut info = function.info.clone();
        if self.is_kept(function) {
            info.driver = Some("kernel".to_owned());
        } else if let Some(claim) = self.claim_of(function) {
            info.driver = Some(claim.driver().to_owned());
            info.interrupts = claim.interrupts().to_vec();
        }
        info.to_string()
    }

    pub(super) fn config(&self, index: usize) -> Vec<u8> {
        let address = self.functions[index].address;
        // SAFETY: reading configuration space changes nothing, and every offset lies in it.
        let read = |offset| unsafe { self.windows.read(address, offset as u16) };
        (0..CONFIG).step_by(4).flat_map(|offset| read(offset).to_le_bytes()).collect()
    }

    /// The names in a directory.
    pub(super) fn names(&self, id: usize) -> Result<Vec<(String, DirentKind)>> {
        match self.handle(id)? {
            Handle::Root => {
                let mut there: Vec<_> = self.functions.iter().filter(|f| !f.is_gone).collect();
                there.sort_by_key(|function| function.address);
                Ok(there
                    .into_iter()
                    .map(|function| function.name())
                    .map(|name| (name, DirentKind::Directory))
                    .collect())
            }
            Handle::Function(_) => {
                Ok(FILES.map(|name| (name.to_owned(), DirentKind::Regular)).to_vec())
            }
            _ => Err(Error::new(ENOTDIR)),
        }
    }
}
