//! Files that others wrote: read with a limit of bytes and of time, whatever they are.
//!
//! A path can name more than a file: /dev/zero never ends, and a named pipe without a writer never begins. `cli/clippy.toml`
//! forbids the functions of the standard library that read without a limit.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// Largest file: a hundred times the files of the largest ring.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// Longest wait for the writer of a pipe, and the longest time until the end of a whole file.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Longest line of a file of any length: eight times the longest head of a request that Envoy accepts.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 20;

/// Reads a whole file of at most [`MAX_BYTES`] in at most [`MAX_TIME`].
///
/// # Errors
/// The file cannot be read, is a directory, or exceeds a limit. The caller adds its name.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_within(path, MAX_BYTES, MAX_TIME)
}

/// As [`read`], for UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        other(format!("line {line}: found bytes that are not UTF-8, expected UTF-8 text"))
    })
}

fn read_within(path: &Path, bytes: usize, time: Duration) -> io::Result<Vec<u8>> {
    let mut input = Input::open(path, time)?;
    input.until_end = true;
    let mut all = Vec::new();
    input.take(bytes as u64 + 1).read_to_end(&mut all)?;
    if all.len() > bytes {
        return Err(other(format!("found more than {bytes} bytes, expected a file of at most {bytes}")));
    }
    Ok(all)
}

/// Appends the next line with its line break to `line`, as [`BufRead::read_until`] does.
///
/// # Errors
/// Reading failed, or the line is longer than [`MAX_LINE_BYTES`].
pub(crate) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    #[allow(clippy::disallowed_methods)]
    let read = input.take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line)?;
    if read > MAX_LINE_BYTES {
        return Err(other(format!(
            "found a line of more than {MAX_LINE_BYTES} bytes, expected one path per line"
        )));
    }
    Ok(read)
}

/// Opens a file to write it. Follows no link, because another user may have put it there.
///
/// # Errors
/// As [`OpenOptions::open`], or the path names a link, a directory or a pipe.
pub(crate) fn open_to_write(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // For the message; NOFOLLOW refuses a link that appears later.
    let found = match fs::symlink_metadata(path).map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_symlink() => "a link",
        Ok(kind) if kind.is_dir() => "a directory",
        // Without a reader, opening it never ends.
        Ok(kind) if kind.is_fifo() => "a pipe",
        _ => {
            #[allow(clippy::disallowed_methods)]
            return options.custom_flags(bits(OFlags::NOFOLLOW)).open(path).map_err(explained);
        }
    };
    Err(other(format!("found {found}, expected a file or a name that is free")))
}

fn bits(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or_default()
}

/// An open file of any kind and any length.
pub(crate) struct Input {
    file: File,
    is_pipe: bool,
    /// A program has opened the pipe for writing.
    has_writer: bool,
    /// The time limit is for the whole file, not only for the writer of a pipe.
    until_end: bool,
    began: Instant,
    time: Duration,
}

impl Input {
    /// Opens a file that is read piece by piece, as slowly as it is written. Only the wait for the writer of a named pipe is
    /// limited.
    pub(crate) fn stream(path: &Path) -> io::Result<Self> {
        Self::open(path, MAX_TIME)
    }

    fn open(path: &Path, time: Duration) -> io::Result<Self> {
        // Without NONBLOCK, this waits for the writer of a pipe.
        let flags = bits(OFlags::NONBLOCK | OFlags::NOCTTY);
        // The only place that may open a file of others: cli/clippy.toml.
        #[allow(clippy::disallowed_methods)]
        let file = File::options().read(true).custom_flags(flags).open(path).map_err(explained)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(other("found a directory, expected a file".to_owned()));
        }
        let is_pipe = kind.is_fifo();
        Ok(Self { file, is_pipe, has_writer: false, until_end: false, began: Instant::now(), time })
    }

    /// Waits until there is something to read.
    fn wait(&self) -> io::Result<()> {
        let left = self.time.saturating_sub(self.began.elapsed());
        let limited = self.until_end || !self.has_writer;
        let timeout = Timespec::try_from(left).map_err(|error| other(error.to_string()))?;
        let mut all = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut all, limited.then_some(&timeout)) {
            Ok(0) => {
                let found = if self.has_writer { "no end" } else { "a pipe without a writer" };
                Err(other(format!(
                    "found {found} for {:?}, expected a file or a program that writes",
                    self.time
                )))
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer) {
                // Before the first writer, a pipe looks as if it had ended.
                Ok(0) if self.is_pipe && !self.has_writer => {
                    self.wait()?;
                    self.has_writer = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.has_writer = true;
                    self.wait()?;
                }
                read => {
                    self.has_writer = true;
                    return read;
                }
            }
        }
    }
}

/// Keeps the kind, because a missing file is no error to every caller.
fn explained(error: io::Error) -> io::Error {
    let advice = match error.kind() {
        ErrorKind::NotFound => "check the path",
        ErrorKind::PermissionDenied => "check owner and mode of the file and of its directories",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}; {advice}"))
}

fn other(message: String) -> io::Error {
    io::Error::other(message)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};
    use std::thread;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    /// No test waits for it.
    const LATE: Duration = Duration::from_secs(600);

    fn pipe(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        path
    }

    #[test]
    fn whatever_a_path_names_reading_ends() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = pipe(dir.path());
        let _silent = File::options().read(true).write(true).open(&pipe).unwrap();
        let (cut, bad) = (dir.path().join("cut"), dir.path().join("bad"));
        fs::write(&cut, "12345").unwrap();
        let message = |path: &Path| read_within(path, 4, SOON).unwrap_err().to_string();
        assert!(message("/dev/zero".as_ref()).starts_with("found more than 4 bytes"));
        assert!(message(&cut).starts_with("found more than 4 bytes"));
        assert!(message(dir.path()).starts_with("found a directory"));
        assert!(message(&pipe).starts_with("found no end for 50ms"));
        assert!(message(&dir.path().join("none")).ends_with("check the path"));
        assert_eq!(read_within(&cut, 5, SOON).unwrap(), b"12345");
        assert_eq!(read_within("/dev/null".as_ref(), 0, SOON).unwrap(), b"");
        fs::write(&bad, b"a\nb\xff\n").unwrap();
        assert!(
            read_text(&bad).unwrap_err().to_string().starts_with("line 2: found bytes that are not UTF-8")
        );
    }

    #[test]
    fn a_pipe_is_read_to_its_end_however_late_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = pipe(dir.path());
        let error = read_within(&path, 10, SOON).unwrap_err().to_string();
        assert!(error.starts_with("found a pipe without a writer for 50ms"), "{error}");
        let writer = {
            let path = path.clone();
            thread::spawn(move || {
                // Waits for the reader.
                let mut pipe = File::options().write(true).open(path).unwrap();
                pipe.write_all(b"12").unwrap();
                thread::sleep(SOON);
                pipe.write_all(b"34\n5").unwrap();
            })
        };
        assert_eq!(read_within(&path, 10, LATE).unwrap(), b"1234\n5");
        writer.join().unwrap();
    }

    #[test]
    fn lines_have_a_limit() {
        let long = [vec![b'a'; MAX_LINE_BYTES - 1], b"\nb".to_vec()].concat();
        let (mut input, mut line) = (BufReader::new(&*long), Vec::new());
        assert_eq!(read_line(&mut input, &mut line).unwrap(), MAX_LINE_BYTES);
        line.clear();
        assert_eq!((read_line(&mut input, &mut line).unwrap(), &*line), (1, &b"b"[..]));
        let mut zeros = BufReader::new(Input::stream("/dev/zero".as_ref()).unwrap());
        assert!(read_line(&mut zeros, &mut Vec::new()).is_err());
    }
}
