//! The screen of `display:`: the terminal's output as text in its pixels.
//!
//! Drawn at most some sixty times a second, so that a program that writes much is not kept waiting
//! for pixels that nobody could see.

use std::ptr::{self, NonNull};

use libredox::Fd;
use libredox::call::MmapArgs;
use libredox::flag::{MAP_SHARED, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR, PROT_READ, PROT_WRITE};
use syscall::error::{EINVAL, ENOMEM, Error, Result};
use terminal::{Mode, Painter, Pixels, Vt};

const MODE: &str = "/scheme/display/mode";
const TEXT: &str = "/scheme/display/text";
const SCREEN: &str = "/scheme/display/screen";

/// A byte from the kernel that says that it has drawn over the picture.
const DRAWN_OVER: u8 = 0;

/// Between two pictures, at least.
const PICTURE_NS: u64 = 16_000_000;

/// The screen and the terminal on it.
pub(crate) struct Screen {
    file: Fd,
    pixels: Memory,
    painter: Painter,
    vt: Vt,
    /// When it was drawn last (ns).
    drawn: u64,
    /// Whether something has changed since.
    has_changed: bool,
}

/// The screen's pixels, mapped.
struct Memory {
    first: NonNull<u32>,
    /// Pixels from one row to the next.
    stride: usize,
    mode: Mode,
}

impl Screen {
    /// Takes the screen over, with what the kernel has shown on it.
    pub(crate) fn open() -> Result<Self> {
        let text = read(MODE)?;
        let numbers: Vec<usize> = text.split_whitespace().flat_map(str::parse).collect();
        let [width, height, stride, red, green, blue] = numbers[..] else {
            return Err(Error::new(EINVAL));
        };
        let file = Fd::open(SCREEN, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0)?;
        let mode = Mode { width, height, shifts: [red, green, blue].map(|shift| shift as u8) };
        let mut pixels = Memory::map(&file, mode, stride)?;
        let painter = Painter::new(mode);
        let (columns, rows) = painter.grid();
        let mut vt = Vt::new(columns, rows, 1);
        let before = read(TEXT)?;
        if !before.trim().is_empty() {
            vt.write(before.trim_end().replace('\n', "\r\n").as_bytes());
            vt.write(b"\r\n");
        }
        painter.clear(&mut pixels, terminal::colour::BACKGROUND);
        vt.draw(&mut pixels, &painter);
        Ok(Self { file, pixels, painter, vt, drawn: 0, has_changed: false })
    }

    /// Columns and rows of text.
    pub(crate) fn grid(&self) -> (usize, usize) {
        self.painter.grid()
    }

    /// What becomes readable when others have written to the console, or drawn on the screen.
    pub(crate) fn descriptor(&self) -> usize {
        self.file.raw()
    }

    /// Shows what others have written to the console, and draws the picture again where the kernel
    /// drew over it.
    pub(crate) fn hear(&mut self, now: u64) {
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = self.file.read(&mut bytes) {
            for piece in bytes[..count].split_inclusive(|byte| *byte == DRAWN_OVER) {
                self.vt.write(piece.strip_suffix(&[DRAWN_OVER]).unwrap_or(piece));
                if piece.ends_with(&[DRAWN_OVER]) {
                    self.painter.clear(&mut self.pixels, terminal::colour::BACKGROUND);
                    self.vt.forget_shown();
                }
            }
            self.has_changed = true;
        }
        self.draw_when_due(now);
    }

    /// Takes what the terminal shows.
    pub(crate) fn write(&mut self, bytes: &[u8], now: u64) {
        self.vt.write(bytes);
        self.has_changed = true;
        self.draw_when_due(now);
    }

    /// Draws what has changed, if it is time.
    pub(crate) fn draw_when_due(&mut self, now: u64) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.draw(now);
        }
    }

    /// When it has to be drawn, if it has to be.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.has_changed.then_some(self.drawn + PICTURE_NS)
    }

    fn draw(&mut self, now: u64) {
        self.vt.draw(&mut self.pixels, &self.painter);
        self.drawn = now;
        self.has_changed = false;
    }
}

fn read(path: &str) -> Result<String> {
    let file = Fd::open(path, O_RDONLY | O_CLOEXEC, 0)?;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match file.read(&mut piece)? {
            0 => return String::from_utf8(bytes).map_err(|_| Error::new(EINVAL)),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

impl Memory {
    fn map(file: &Fd, mode: Mode, stride: usize) -> Result<Self> {
        let row = mode.width.checked_mul(4).ok_or(Error::new(EINVAL))?;
        let length = stride.checked_mul(mode.height).ok_or(Error::new(EINVAL))?;
        if row > stride || !stride.is_multiple_of(4) {
            return Err(Error::new(EINVAL));
        }
        let arguments = MmapArgs {
            addr: ptr::null_mut(),
            length,
            prot: PROT_READ | PROT_WRITE,
            flags: MAP_SHARED,
            fd: file.raw(),
            offset: 0,
        };
        // SAFETY: the kernel chooses a free address, so nothing of ours is replaced.
        let address = unsafe { libredox::call::mmap(arguments)? };
        let first = NonNull::new(address.cast()).ok_or(Error::new(ENOMEM))?;
        Ok(Self { first, stride: stride / 4, mode })
    }
}

impl Pixels for Memory {
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        let count = pixels.len().min(self.mode.width.saturating_sub(x));
        if y >= self.mode.height {
            return;
        }
        for (index, pixel) in pixels[..count].iter().enumerate() {
            // SAFETY: inside a row, and `map` saw to it that all rows are mapped.
            unsafe { self.first.add(y * self.stride + x + index).write_volatile(*pixel) };
        }
    }
}
