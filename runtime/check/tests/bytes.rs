//! Reading, writing and buffering against a model: a vector of bytes.
#![cfg(target_os = "redox")]

use proptest::prelude::*;
use std::fs::{File, OpenOptions, remove_file};
use std::io::{
    BufRead, BufReader, BufWriter, IoSlice, IoSliceMut, LineWriter, Read, Seek, SeekFrom, Write,
};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A file that goes with the test.
struct Scratch(String, File);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let folder = std::env::temp_dir();
        let name = format!("bytes-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = folder.join(name).to_str().expect("a text").to_owned();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.unwrap_or_else(|error| panic!("{path}: {error}"));
        Self(path, file)
    }

    fn whole(&self) -> Vec<u8> {
        std::fs::read(&self.0).expect("the file is there")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_file(&self.0).expect("the file is there");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<u8>),
    Gather(Vec<Vec<u8>>),
    WriteAt(u64, Vec<u8>),
    Read(usize),
    Scatter(Vec<usize>),
    ReadAt(u64, usize),
    Seek(u64),
    Truncate(u64),
}

fn some_bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        some_bytes(3_000).prop_map(Step::Write),
        proptest::collection::vec(some_bytes(1_800), 0..6).prop_map(Step::Gather),
        (0..9_000_u64, some_bytes(500)).prop_map(|(at, bytes)| Step::WriteAt(at, bytes)),
        (0..3_000_usize).prop_map(Step::Read),
        proptest::collection::vec(0..900_usize, 0..5).prop_map(Step::Scatter),
        (0..9_000_u64, 0..900_usize).prop_map(|(at, count)| Step::ReadAt(at, count)),
        (0..9_000_u64).prop_map(Step::Seek),
        (0..9_000_u64).prop_map(Step::Truncate),
    ]
}

/// The file as it should be.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    at: usize,
}

impl Model {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[at..end].copy_from_slice(bytes);
    }

    fn get(&self, at: usize, count: usize) -> Vec<u8> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        rest[..rest.len().min(count)].to_vec()
    }

    fn step(&mut self, step: &Step, file: &mut File) -> Result<(), TestCaseError> {
        match step {
            Step::Write(bytes) => {
                prop_assert_eq!(file.write(bytes)?, bytes.len());
                self.put(self.at, bytes);
                self.at += bytes.len();
            }
            Step::Gather(parts) => {
                let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
                let all = parts.concat();
                prop_assert_eq!(file.write_vectored(&slices)?, all.len());
                self.put(self.at, &all);
                self.at += all.len();
            }
            Step::WriteAt(at, bytes) => {
                prop_assert_eq!(file.write_at(bytes, *at)?, bytes.len());
                self.put(*at as usize, bytes);
            }
            Step::Read(count) => {
                let mut buffer = vec![0; *count];
                let read = file.read(&mut buffer)?;
                prop_assert_eq!(&buffer[..read], self.get(self.at, *count));
                self.at += read;
            }
            Step::Scatter(counts) => {
                let mut buffers: Vec<_> = counts.iter().map(|&count| vec![0; count]).collect();
                let mut slices: Vec<_> = buffers.iter_mut().map(|b| IoSliceMut::new(b)).collect();
                let read = file.read_vectored(&mut slices)?;
                let all = buffers.concat();
                prop_assert_eq!(&all[..read], self.get(self.at, all.len()));
                self.at += read;
            }
            Step::ReadAt(at, count) => {
                let mut buffer = vec![0; *count];
                let read = file.read_at(&mut buffer, *at)?;
                prop_assert_eq!(&buffer[..read], self.get(*at as usize, *count));
            }
            Step::Seek(at) => {
                prop_assert_eq!(file.seek(SeekFrom::Start(*at))?, *at);
                self.at = *at as usize;
            }
            Step::Truncate(length) => {
                file.set_len(*length)?;
                self.bytes.resize(*length as usize, 0);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn a_file_is_what_was_written_to_it(steps in proptest::collection::vec(step(), 1..30)) {
        let mut scratch = Scratch::new();
        let mut model = Model::default();
        for step in &steps {
            model.step(step, &mut scratch.1)?;
        }
        prop_assert_eq!(scratch.whole(), model.bytes);
    }

    #[test]
    fn buffers_lose_and_repeat_nothing(
        pieces in proptest::collection::vec(some_bytes(200), 0..60),
        room in 1..300_usize,
    ) {
        let scratch = Scratch::new();
        let mut writer = BufWriter::with_capacity(room, &scratch.1);
        for piece in &pieces {
            writer.write_all(piece)?;
        }
        writer.flush()?;
        drop(writer);
        prop_assert_eq!(scratch.whole(), pieces.concat());
        let mut reader = BufReader::with_capacity(room, File::open(&scratch.0)?);
        let mut back = Vec::new();
        while reader.read_until(b'\n', &mut back)? > 0 {}
        prop_assert_eq!(back, pieces.concat());
    }

    #[test]
    fn lines_are_written_when_they_end(words in proptest::collection::vec("[a-z]{0,9}\n?", 0..60)) {
        let scratch = Scratch::new();
        let mut writer = LineWriter::new(&scratch.1);
        let mut all = String::new();
        for word in &words {
            writer.write_all(word.as_bytes())?;
            all.push_str(word);
            // Everything up to the last end of a line is there, and nothing behind it.
            let ended = all.rfind('\n').map_or(0, |at| at + 1);
            prop_assert_eq!(scratch.whole(), &all.as_bytes()[..ended]);
        }
        writer.flush()?;
        prop_assert_eq!(scratch.whole(), all.as_bytes());
    }

    #[test]
    fn a_pipe_gives_what_it_was_given(pieces in proptest::collection::vec(some_bytes(9_000), 0..12)) {
        let (mut reader, mut writer) = std::io::pipe()?;
        let all = pieces.concat();
        let writing = std::thread::spawn(move || {
            pieces.iter().try_for_each(|piece| writer.write_all(piece))
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back)?;
        writing.join().expect("it wrote")?;
        prop_assert_eq!(back, all);
    }
}
