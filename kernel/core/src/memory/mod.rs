//! Memory: frames of it, spaces made of it, and copying between the two.

mod address;
mod budget;
mod frames;
mod origin;
mod space;
mod user;
mod window;

pub use address::{Frame, Page, Pages, PhysicalAddress};
pub use budget::{BudgetId, Budgets};
pub use frames::{FrameInfo, Frames, NoMemory, Range, Zone, ZoneCounts};
pub use origin::Origin;
pub use space::{FilePart, Kind, Miss, Region, Space, SpaceId};
pub use user::UserSlice;
pub use window::{PAYLOAD_MAX, Slot, Window};
