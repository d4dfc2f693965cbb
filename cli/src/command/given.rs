//! Flags that were given but do not belong to what the command does: ignoring them would hide a mistake.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// Flags, with the names of those that were on the command line. Environment variables are set for many commands, so
/// these do not count.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub(super) args: T,
    flags: Vec<Flag>,
}

/// A flag that was on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    /// Without the hyphens.
    pub(super) name: String,
    /// Its heading in the help; empty for general flags.
    pub(super) heading: String,
}

impl<T> Given<T> {
    /// Returns the flags that were on the command line.
    pub(super) fn flags(&self) -> &[Flag] {
        &self.flags
    }
}

impl<T: Args> Args for Given<T> {
    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Args> FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        let flags = flags::<T>(matches);
        Ok(Self { args: T::from_arg_matches_mut(matches)?, flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.flags = flags::<T>(matches);
        self.args.update_from_arg_matches(matches)
    }
}

fn flags<T: Args>(matches: &ArgMatches) -> Vec<Flag> {
    let command = T::augment_args(Command::new(""));
    let on_command_line = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let given = command.get_arguments().filter(|argument| on_command_line(argument.get_id().as_str()));
    given
        .map(|argument| Flag {
            name: argument.get_long().unwrap_or_default().to_owned(),
            heading: argument.get_help_heading().unwrap_or_default().to_owned(),
        })
        .collect()
}
