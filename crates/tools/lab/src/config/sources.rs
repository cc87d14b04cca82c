//! The settings that there is one of for each source: its port, its address.

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use stack::sources::SourceClient;
use stack::{PerSource, SOURCES, Source, SourceInfo, ports};

/// `--accounts-port`, `--endpoints-port`, `--metrics-port`: where each source listens.
#[derive(Clone, Copy, Debug)]
pub struct SourcePorts(pub PerSource<u16>);

/// `--accounts-url`, `--endpoints-url`, `--metrics-url`: where the sources of a stack that runs are.
#[derive(Clone, Debug)]
pub struct SourceUrls(pub PerSource<String>);

impl SourceUrls {
    /// A client of them.
    pub fn client(&self) -> SourceClient {
        SourceClient::new(self.0.clone())
    }
}

fn with_one_of_each(command: Command, what: &str, make: impl Fn(&SourceInfo, Arg) -> Arg) -> Command {
    command.args(SOURCES.map(|info| {
        let name = info.name;
        let flag = Arg::new(format!("{name}_{what}"))
            .long(format!("{name}-{what}"))
            .env(format!("{name}_{what}").to_uppercase())
            .help(format!("The {name} service"));
        make(&info, flag)
    }))
}

fn one_of_each<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    what: &str,
) -> Result<PerSource<T>, Error> {
    let missing =
        |source: Source| Error::raw(ErrorKind::MissingRequiredArgument, format!("--{source}-{what}\n"));
    let mut values = PerSource::<Option<T>>::default();
    for source in Source::ALL {
        let value = matches.get_one::<T>(&format!("{source}_{what}"));
        values[source] = Some(value.cloned().ok_or_else(|| missing(source))?);
    }
    Ok(values.map(|value| value.expect("each was set")))
}

impl Args for SourcePorts {
    fn augment_args(command: Command) -> Command {
        with_one_of_each(command, "port", |info, flag| {
            flag.value_parser(value_parser!(u16))
                .default_value(info.port.to_string())
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourcePorts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        one_of_each(matches, "port").map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SourceUrls {
    fn augment_args(command: Command) -> Command {
        with_one_of_each(command, "url", |info, flag| {
            flag.default_value(ports::url(info.port))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourceUrls {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        one_of_each(matches, "url").map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
