//! The command line. Exit codes: 0 done, 1 refused, 2 wrong use.

mod copies;
mod doctor;
mod enroll;
mod progress;
mod relay;
mod serve;
mod site;
mod sync;
mod users;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::error::Error;
use crate::http;
use crate::line::Invitation;
use crate::relay::start::StartError;

/// 餐食: the offline-first backend of a postpartum care center.
#[derive(Parser)]
#[command(name = "canshi", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the site.
    Serve(ServeArguments),
    /// Run the center's relay.
    Relay(CenterServeArguments),
    /// Add sites at the center and look after them.
    Site {
        #[command(subcommand)]
        command: SiteCommand,
    },
    /// Copy the database to a new file, while the site serves.
    Backup {
        /// The data directory.
        #[arg(long)]
        data: PathBuf,
        /// The new file.
        #[arg(long)]
        to: PathBuf,
    },
    /// Fill an empty data directory: from a backup, or from the center in the place of a box that is gone.
    Restore {
        /// The empty data directory.
        #[arg(long)]
        data: PathBuf,
        /// The backup file.
        #[arg(long, required_unless_present = "relay", conflicts_with = "relay")]
        from: Option<PathBuf>,
        /// The key file that belongs to it; `FILE.keys` beside the backup unless given.
        #[arg(long, requires = "from")]
        keys: Option<PathBuf>,
        /// The relay's URL.
        #[arg(long, requires = "code")]
        relay: Option<String>,
        /// The one-time code that `canshi site code` printed.
        #[arg(long, requires = "relay")]
        code: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make the site a site of a center.
    Enroll {
        /// The data directory; a server that works on it takes the enrolment up by itself.
        #[arg(long)]
        data: PathBuf,
        #[command(flatten)]
        relay: RelayArguments,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at the mirror at the center.
    Sync {
        #[command(subcommand)]
        command: SyncCommand,
    },
    /// Look after users.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Check the database, the audit chain, the totals, the keys, the disk and the clock.
    Doctor {
        /// The data directory.
        #[arg(long)]
        data: PathBuf,
    },
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(clap::Args)]
struct ServeArguments {
    /// The data directory; an empty one is set up.
    #[arg(long)]
    data: PathBuf,
    /// The address and port to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// Fill an empty data directory with a believable care center.
    #[arg(long)]
    demo: bool,
    /// A configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The relay to enrol at, if the site is not enrolled yet.
    #[arg(long, requires = "code")]
    relay: Option<String>,
    /// The one-time code for it.
    #[arg(long, requires = "relay")]
    code: Option<String>,
}

impl ServeArguments {
    fn invitation(&self) -> Option<Invitation> {
        let (relay, code) = self.relay.clone().zip(self.code.clone())?;
        Some(Invitation { relay, code })
    }
}

#[derive(clap::Args)]
struct RelayArguments {
    /// The relay's URL, such as `https://relay.example.com`.
    #[arg(long)]
    relay: String,
    /// The one-time code that `canshi site add` or `canshi site code` printed.
    #[arg(long)]
    code: String,
}

impl RelayArguments {
    fn invitation(&self) -> Invitation {
        Invitation { relay: self.relay.clone(), code: self.code.clone() }
    }
}

#[derive(Subcommand)]
enum SyncCommand {
    /// What waits, since when, and what the center has confirmed.
    Status(SyncArguments),
    /// Compare the center's mirror with the site, row by row where it differs. Exits with 0 when they are equal, 1 when they
    /// are not, 2 when it could not tell.
    Verify(SyncArguments),
    /// Make the mirror equal to the site: what differs is sent once more.
    Repair(SyncArguments),
}

#[derive(clap::Args)]
struct SyncArguments {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct MysqlArgument {
    /// The center's database: mysql://user:pass@host:port/db. In the variable, the password is not in the list of processes.
    #[arg(long = "mysql", value_name = "URL", env = "CANSHI_MYSQL", hide_env_values = true)]
    url: String,
}

#[derive(clap::Args)]
struct CenterServeArguments {
    #[command(flatten)]
    mysql: MysqlArgument,
    /// The address and port to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// A configuration file.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(clap::Args)]
struct CenterArguments {
    #[command(flatten)]
    mysql: MysqlArgument,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum SiteCommand {
    /// Add a site and print the one-time code that enrols its box.
    Add {
        /// The site's name.
        #[arg(long, value_parser = site::name)]
        name: String,
        #[command(flatten)]
        at: CenterArguments,
    },
    /// Show how every site stands.
    List {
        #[command(flatten)]
        at: CenterArguments,
    },
    /// Print another one-time code of a site, for a box that takes the place of its old one.
    Code {
        /// The site.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        site_id: i64,
        #[command(flatten)]
        at: CenterArguments,
    },
    /// Take a site's credential back.
    Revoke {
        /// The site.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        site_id: i64,
        #[command(flatten)]
        at: CenterArguments,
    },
    /// Apply what is in a site's quarantine.
    Replay {
        /// The site.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        site_id: i64,
        #[command(flatten)]
        at: CenterArguments,
    },
}

#[derive(Subcommand)]
enum UserCommand {
    /// Set a user's password; it is read from the standard input, or made up and printed.
    Password {
        /// The data directory.
        #[arg(long)]
        data: PathBuf,
        /// The user's name.
        #[arg(long)]
        username: String,
    },
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Error(#[from] Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Said(String),
    /// A comparison that could not be made.
    #[error("could not tell: {0}")]
    CouldNotTell(String),
}

impl Refused {
    fn code(&self) -> u8 {
        match self {
            // The arguments can't mean anything, whatever the world is like.
            Refused::CouldNotTell(_) | Refused::Start(StartError::BadUrl(_) | StartError::NoDatabase) => 2,
            Refused::Start(_) | Refused::Config(_) | Refused::Error(_) | Refused::Io(_) | Refused::Said(_) => 1,
        }
    }
}

/// Runs the command that the arguments name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to the standard output and are no failure.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(1),
            };
        }
    };
    let outcome = match arguments.command {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Relay(arguments) => relay::relay(&arguments),
        Command::Site { command } => site::site(&command),
        Command::Backup { data, to } => copies::backup(&data, &to),
        Command::Restore { data, from: Some(from), keys, .. } => copies::restore(&data, &from, keys.as_deref()),
        Command::Restore { data, relay: Some(relay), code: Some(code), json, .. } => {
            enroll::rebuild(&data, &Invitation { relay, code }, json)
        }
        Command::Restore { .. } => Err(Refused::Said("--from or --relay is needed".to_owned())),
        Command::Enroll { data, relay, json } => enroll::enroll(&data, &relay.invitation(), json),
        Command::Sync { command: SyncCommand::Status(arguments) } => sync::status(&arguments.data, arguments.json),
        Command::Sync { command: SyncCommand::Verify(arguments) } => sync::verify(&arguments.data, arguments.json),
        Command::Sync { command: SyncCommand::Repair(arguments) } => sync::repair(&arguments.data, arguments.json),
        Command::User { command: UserCommand::Password { data, username } } => users::set_password(&data, &username),
        Command::Doctor { data } => doctor::examine(&data),
        Command::Openapi => say(&format!("{:#}", http::document())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            complain(&refused);
            ExitCode::from(refused.code())
        }
    }
}

fn config(file: Option<&std::path::Path>) -> Result<Config, ConfigError> {
    Config::load(file, std::env::vars())
}

/// Prints a line for the person or script that called.
fn say(line: &dyn Display) -> Result<(), Refused> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

fn complain(refused: &Refused) {
    let mut text = format!("canshi: {refused}");
    let mut cause = std::error::Error::source(refused);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    // Where there is no terminal to complain to, the exit code says it.
    drop(writeln!(std::io::stderr(), "{text}"));
}
