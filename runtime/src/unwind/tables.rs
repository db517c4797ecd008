//! `_Unwind_*`: panics can be caught, backtraces need no frame pointers. The crate `unwinding` does
//! the work; here it learns where the program's tables are.

use crate::start::Once;
use unwinding::custom_eh_frame_finder::{
    EhFrameFinder, FrameInfo, FrameInfoKind, set_custom_eh_frame_finder,
};

/// Where the program's table of frames is (`PT_GNU_EH_FRAME`); 0 if it has none.
static TABLE: Once<usize> = Once::new(0);

struct Program;

// SAFETY: the address is that of the program header which says that a table is there, and programs
// are one piece: whatever is not in it has no table.
unsafe impl EhFrameFinder for Program {
    fn find(&self, _address: usize) -> Option<FrameInfo> {
        let kind = FrameInfoKind::EhFrameHdr(TABLE.get());
        (TABLE.get() != 0).then_some(FrameInfo { text_base: None, kind })
    }
}

/// Says where the program's table of frames is.
///
/// # Safety
///
/// Once, from the start code. The address is that of a mapped `PT_GNU_EH_FRAME` segment, or 0.
pub(crate) unsafe fn adopt(table: usize) {
    // SAFETY: this is the start code.
    unsafe { TABLE.set(table) };
    // It fails only when it is set already.
    let _ = set_custom_eh_frame_finder(&Program);
}
