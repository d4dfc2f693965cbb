//! Writes the shell completions and man pages of the command to two folders; `make dist` and `make install` ship them.

// cli/clippy.toml is for files of others.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::{env, fs, io};

use clap::ValueEnum;
use clap_complete::Shell;

fn main() -> io::Result<()> {
    let [_, completions, man]: [String; 3] = env::args().collect::<Vec<_>>().try_into().map_err(|_| {
        io::Error::other("expected two arguments: the folder for completions and the one for man pages")
    })?;
    fs::create_dir_all(&completions)?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut pushring::command::definition(), "pushring", &completions)?;
    }
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(pushring::command::definition(), Path::new(&man))
}
