//! `canshi relay`: the center's edge, from MySQL to the last answer.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use axum_server::Handle;
use canshi_sync::central::Central;

use super::serve::{ADMIN_PASSWORD, stop_on_signal};
use super::{CenterServeArguments, Refused, config, say};
use crate::config::{Config, Tls};
use crate::http::serve as listen;
use crate::payments::gateways::Gateways;
use crate::relay::{self, Center, mailbox, start};
use crate::service::passwords::Passwords;
use crate::service::setup::FirstPassword;
use crate::store::db::Clock;
use crate::store::examine::explained;
use crate::telemetry;

pub fn relay(arguments: &CenterServeArguments) -> Result<(), Refused> {
    let config = config(arguments.config.as_deref())?;
    if config.tls == Tls::SelfSigned {
        let why =
            "tls: a relay has no data directory to keep a certificate in; use \"files\", or \"off\" behind a proxy";
        return Err(Refused::Said(why.to_owned()));
    }
    let listener = TcpListener::bind(arguments.listen)
        .map_err(|error| Refused::Said(format!("{} can't be listened on: {error}", arguments.listen)))?;
    let _log_guard = telemetry::start_on_terminal(config.relay.log_level)?;
    let metrics = telemetry::install_metrics()?;
    let platforms = Gateways::new(&config.payments, Arc::new(|| Clock::System.now()))
        .map_err(|error| Refused::Said(explained(&error)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let central = start::open(&arguments.mysql.url, config.relay.mysql_connections).await?;
        for warning in start::examine(&central, config.relay.allow_weak_mysql).await? {
            say(&warning)?;
        }
        let first = first_start(&central, &config).await?;
        let keys = start::keys(&central).await?;
        let center = Center::new(central, &keys, config.clone(), platforms, metrics)?;
        // It is read for certificates of the relay's own only, and it has none.
        let tls = listen::certificate(&config.tls, Path::new("")).await?;
        let handle = Handle::new();
        let (signal, at_end) = (stop_on_signal(handle.clone())?, center.clone());
        // Polls are held for long: they end with the signal.
        let stop = tokio::spawn(async move {
            if signal.await.is_ok() {
                at_end.waiting().close();
            }
        });
        greet(&config, &listener, &first)?;
        let clear = tokio::spawn(mailbox::keep_clear(center.clone()));
        listen::serve(listener, relay::router(&center), tls, handle).await?;
        stop.abort();
        clear.abort();
        Ok(())
    });
    runtime.shutdown_timeout(listen::LAST_WAIT);
    outcome
}

async fn first_start(central: &Central, config: &Config) -> Result<FirstPassword, Refused> {
    let passwords = Passwords::new(config.bcrypt_cost)?;
    Ok(start::first_start(central, &passwords, std::env::var(ADMIN_PASSWORD).ok()).await?)
}

fn greet(config: &Config, listener: &TcpListener, first: &FirstPassword) -> Result<(), Refused> {
    let scheme = if config.tls == Tls::Off { "http" } else { "https" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    say(&format!("canshi relays at {url} (the API is described at {url}/docs)"))?;
    if let FirstPassword::Made(password) = first {
        say(&format!("\nThe password of headquarters' administrator, shown only this once:\n  admin  {password}"))?;
    }
    if *first != FirstPassword::SetBefore {
        say(&"\nTry next:\n  canshi site add --name NAME --mysql URL")?;
    }
    Ok(())
}
