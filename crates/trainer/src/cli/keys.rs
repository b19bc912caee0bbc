//! Flags that set a key of the configuration: one for each key, made from the table of keys.
//!
//! Values stay text here: the table reads them, so that kinds, bounds and messages are in one place. The keys of other
//! trainers are flags as well: the table says what does the same here.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use cua_grpo_train::config::{ConfigError, Configuration, Flag, Key, foreign_keys};
use serde_yaml_ng::Value;
use std::marker::PhantomData;

/// Another flag for a key.
pub struct Also {
    /// Its name, without dashes.
    pub flag: &'static str,
    pub key: &'static str,
    /// The value that it gives; without one it takes a value.
    pub value: Option<&'static str>,
    pub help: &'static str,
}

/// How a command offers the keys of its configuration.
pub trait Offer: Send + Sync + 'static {
    /// The configuration.
    type Keys: Configuration;
    /// Keys that `--help` shows, with spaces between.
    const SHOWN: &'static str;
    /// Further flags.
    const ALSO: &'static [Also];
}

/// The keys that were given as flags.
pub struct KeyFlags<O> {
    given: Vec<Flag>,
    offer: PhantomData<O>,
}

impl<O> Default for KeyFlags<O> {
    fn default() -> Self {
        let (given, offer) = (Vec::new(), PhantomData);
        Self { given, offer }
    }
}

impl<O> std::fmt::Debug for KeyFlags<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.given.fmt(f)
    }
}

impl<O> KeyFlags<O> {
    /// What was given, and then what `--set` assigns, which wins.
    pub fn and(&self, assignments: &[String]) -> Result<Vec<Flag>, ConfigError> {
        let mut flags = self.given.clone();
        flags.extend(Flag::assignments(assignments)?);
        Ok(flags)
    }
}

/// What a key's flag is called, and its documentation without the full stop.
fn argument(key: &Key) -> Arg {
    let switch = (key.accepts)(&Value::Bool(true));
    let argument = Arg::new(key.name)
        .long(key.name.replace('_', "-"))
        .alias(key.name)
        .help(key.doc.trim().trim_end_matches('.'));
    if switch {
        argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
    } else {
        argument.value_name("VALUE").allow_hyphen_values(true)
    }
}

impl<O: Offer> Args for KeyFlags<O> {
    fn augment_args(mut command: Command) -> Command {
        for key in O::Keys::keys() {
            let argument = argument(key).hide(!O::SHOWN.split_whitespace().any(|shown| shown == key.name));
            let argument = if key.name == "verbose" {
                argument.short('v')
            } else {
                argument
            };
            command = command.arg(argument);
        }
        for also in O::ALSO {
            let argument = Arg::new(also.flag).long(also.flag).help(also.help);
            command = command.arg(match also.value {
                Some(_) => argument.action(ArgAction::SetTrue).conflicts_with(also.key),
                None => argument.value_name("VALUE").allow_hyphen_values(true),
            });
        }
        for name in foreign_keys() {
            let taken = command
                .get_arguments()
                .any(|argument| argument.get_id() == name || argument.get_long() == Some(&name.replace('_', "-")));
            if !taken {
                let argument = Arg::new(name).long(name.replace('_', "-")).alias(name).hide(true);
                command = command.arg(
                    argument
                        .num_args(0..=1)
                        .default_missing_value("true")
                        .allow_hyphen_values(true),
                );
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<O: Offer> FromArgMatches for KeyFlags<O> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |id: &str| matches.try_get_one::<String>(id).ok().flatten();
        let names = O::Keys::keys().iter().map(|key| key.name).chain(foreign_keys());
        let given = names.filter_map(|name| Some(Flag::new(name, value(name)?)));
        let also = O::ALSO.iter().filter_map(|also| {
            let set = match also.value {
                Some(set) => matches.get_flag(also.flag).then(|| set.to_owned()),
                None => value(also.flag).cloned(),
            };
            Some(Flag {
                key: also.key.to_owned(),
                value: set?,
                flag: format!("--{}", also.flag),
            })
        });
        let (given, offer) = (given.chain(also).collect(), PhantomData);
        Ok(Self { given, offer })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
