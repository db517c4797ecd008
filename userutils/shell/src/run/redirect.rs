//! Redirections.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use super::Flow;
use crate::ast::{Redirect, RedirectKind, Word};
use crate::expand;
use crate::state::Shell;
use crate::system::{self, News};

/// What descriptors were before: a copy, or closed.
type Saved = Vec<(RawFd, Option<OwnedFd>)>;

/// A document this long fits into any pipe, so it can be written before anybody reads.
const FITS_PIPE: usize = 4096;

impl Shell {
    /// Runs something with redirections that are taken back afterwards.
    pub(super) fn redirected(
        &mut self,
        redirects: &[Redirect],
        run: impl FnOnce(&mut Self) -> Flow,
    ) -> Flow {
        let mut saved = Saved::new();
        let applied =
            redirects.iter().try_for_each(|redirect| self.redirect(redirect, Some(&mut saved)));
        let flow = match applied {
            Ok(()) => run(self),
            // Only the command fails, not the script: a missing file is an everyday answer.
            Err(error) => {
                self.complain(error);
                Ok(1)
            }
        };
        take_back(saved);
        flow
    }

    /// Applies redirections that stay.
    pub(super) fn redirect_for_good(&mut self, redirects: &[Redirect]) -> Result<(), String> {
        redirects.iter().try_for_each(|redirect| self.redirect(redirect, None))
    }

    fn redirect(&mut self, redirect: &Redirect, saved: Option<&mut Saved>) -> Result<(), String> {
        let usual = match &redirect.kind {
            RedirectKind::Write(_) | RedirectKind::Append(_) => 1,
            RedirectKind::Duplicate(_) | RedirectKind::Both { .. } => 1,
            _ => 0,
        };
        let fd = redirect.fd.unwrap_or(usual);
        if let Some(saved) = saved {
            // Before anything is opened, which may well get the number that is redirected.
            save(fd, saved);
            if let RedirectKind::Both { .. } = redirect.kind {
                save(2, saved);
            }
        }
        let options = &mut OpenOptions::new();
        let file: OwnedFd = match &redirect.kind {
            RedirectKind::Duplicate(word) => return self.duplicate(fd, word),
            RedirectKind::Read(file) => self.open(file, options.read(true))?,
            RedirectKind::Write(file) => {
                self.open(file, options.write(true).create(true).truncate(true))?
            }
            RedirectKind::Append(file) => self.open(file, options.append(true).create(true))?,
            RedirectKind::ReadWrite(file) => {
                self.open(file, options.read(true).write(true).create(true))?
            }
            RedirectKind::Both { append, file } => {
                options.create(true).write(!append).append(*append).truncate(!append);
                let file = self.open(file, options)?;
                system::put(file.as_raw_fd(), 2).map_err(|error| format!("2: {error}"))?;
                file
            }
            RedirectKind::HereDocument(body) => {
                let body = body.get().ok_or("a here-document has no lines")?;
                let text = expand::text(body, self)?;
                self.document(&text)?
            }
            RedirectKind::HereString(word) => {
                let text = expand::text(word, self)? + "\n";
                self.document(&text)?
            }
        };
        place(file, fd)
    }

    fn open(&mut self, file: &Word, options: &OpenOptions) -> Result<OwnedFd, String> {
        let path = expand::text(file, self)?;
        options.open(&path).map(OwnedFd::from).map_err(|error| format!("{path}: {error}"))
    }

    /// `2>&1`, `2>&-`.
    fn duplicate(&mut self, fd: RawFd, word: &Word) -> Result<(), String> {
        let text = expand::text(word, self)?;
        if text == "-" {
            system::close(fd);
            return Ok(());
        }
        let source: RawFd = text.parse().map_err(|_| format!("{text}: is no descriptor"))?;
        system::put(source, fd).map_err(|error| format!("{source}: {error}"))
    }

    /// The reading end of a pipe with a text in it.
    fn document(&mut self, text: &str) -> Result<OwnedFd, String> {
        let in_words = |error: io::Error| format!("here-document: {error}");
        let (reader, mut writer) = io::pipe().map_err(in_words)?;
        if text.len() <= FITS_PIPE {
            writer.write_all(text.as_bytes()).map_err(in_words)?;
            return Ok(reader.into());
        }
        self.writers.retain(|&writer| !matches!(system::poll(writer), News::Ended(_)));
        // A child writes it while somebody reads; it ends by itself when nobody does.
        match system::fork().map_err(in_words)? {
            Some(pid) => self.writers.push(pid),
            None => {
                drop(reader);
                let written = writer.write_all(text.as_bytes());
                system::exit_child(i32::from(written.is_err()));
            }
        }
        Ok(reader.into())
    }
}

fn save(fd: RawFd, saved: &mut Saved) {
    // No copy means it was closed: closing it again is how it is put back.
    saved.push((fd, system::keep_copy(fd).ok()));
}

/// Moves an open file to the descriptor it is wanted as.
fn place(file: OwnedFd, fd: RawFd) -> Result<(), String> {
    system::put(file.as_raw_fd(), fd).map_err(|error| format!("{fd}: {error}"))?;
    if file.as_raw_fd() == fd {
        // It already is there, and stays.
        let _ = file.into_raw_fd();
    }
    Ok(())
}

/// In reverse, so that a descriptor redirected twice ends as it began.
fn take_back(saved: Saved) {
    for (fd, before) in saved.into_iter().rev() {
        match before {
            // The copy was made from this very descriptor: putting it back cannot fail.
            Some(copy) => drop(system::put(copy.as_raw_fd(), fd)),
            None => system::close(fd),
        }
    }
}
