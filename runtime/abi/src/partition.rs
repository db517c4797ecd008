//! What partitions are for: their type GUIDs, as text in upper case.

/// EFI system partition (UEFI 2.10, table 5.7): the loader and what it loads.
pub const EFI_SYSTEM: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

/// The RedoxFS that `file:` serves.
pub const ROOT: &str = "6C696665-626F-4174-8000-726F6F746673";

/// Where memory goes when there is too little: the emergency store.
pub const STORE: &str = "6C696665-626F-4174-8000-73746F726500";
