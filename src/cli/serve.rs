//! `canshi serve`: the site, from the data directory to the last answer.

use std::net::TcpListener;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum_server::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::{Refused, ServeArguments, config, say};
use crate::config::{Config, Tls};
use crate::http::app::Outside;
use crate::http::{self, App, serve as listen};
use crate::jobs::Jobs;
use crate::line::{Line, Means};
use crate::payments::forwarder::Forwarder;
use crate::payments::gateways::Gateways;
use crate::service::auth::Auth;
use crate::service::passwords::Passwords;
use crate::service::settings;
use crate::service::setup::{FirstPassword, first_start, note_start};
use crate::service::sync::LineStatus;
use crate::store::Db;
use crate::store::db::{Clock, Context, WriterThread};
use crate::store::examine::explained;
use crate::store::keys::Keys;
use crate::store::open::{DataDir, LOGS, Options, prepare};
use crate::store::vault::Vault;
use crate::wechat::WeChat;
use crate::{demo, telemetry};

/// The variable that gives the first administrator its password.
pub const ADMIN_PASSWORD: &str = "CANSHI_ADMIN_PASSWORD";

pub fn serve(arguments: &ServeArguments) -> Result<(), Refused> {
    let config = config(arguments.config.as_deref())?;
    let data = DataDir::lock(&arguments.data)?;
    if arguments.demo && !data.is_empty()? {
        return Err(Refused::Said(format!("--demo needs an empty data directory; {} is not", data.path.display())));
    }
    let listener = TcpListener::bind(arguments.listen)
        .map_err(|error| Refused::Said(format!("{} can't be listened on: {error}", arguments.listen)))?;
    let (log, _log_guard) = telemetry::start(&data.path.join(LOGS))?;
    let metrics = telemetry::install_metrics()?;
    let keys = prepare(&data, config.zone.name())?;
    let (db, writer) = open(&data, &config, &keys)?;
    let payments = Forwarder::new(
        Gateways::new(&config.payments, Arc::new(|| Clock::System.now()))
            .map_err(|error| Refused::Said(explained(&error)))?,
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let passwords = Passwords::new(config.bcrypt_cost)?;
        let first = first_start(&db, &passwords, std::env::var(ADMIN_PASSWORD).ok()).await?;
        if arguments.demo {
            demo::fill(&db, &passwords).await?;
        }
        let in_force = Arc::new(ArcSwap::from_pointee(db.read(settings::read).await?));
        log.set(in_force.load().log_level);
        let auth = Auth::new(db.clone(), passwords, &keys.token, in_force.clone());
        let wechat = WeChat::new(config.wechat.clone()).map_err(|error| Refused::Said(explained(&error)))?;
        let outside = Outside { wechat, line: LineStatus::new(Clock::System), payments: payments.clone() };
        let app = App::new(db.clone(), auth, in_force, config.edge.clone(), log, metrics, outside);
        let router = http::router(&app);
        let means = Means {
            db: db.clone(),
            data: data.path.clone(),
            boot: note_start(&db).await?,
            authority: config.relay_authority.clone(),
            status: app.line().clone(),
            payments: payments.clone(),
        };
        let line = Line::start(&app, router.clone(), means, arguments.invitation());
        let jobs = Jobs::start(&app, &config, &data.path).await?;
        let tls = listen::certificate(&config.tls, &data.path).await?;
        let handle = Handle::new();
        let stop = stop_on_signal(handle.clone())?;
        greet(arguments, &config, &listener, &first)?;
        listen::serve(listener, router, tls, handle).await?;
        stop.abort();
        line.stop().await;
        jobs.stop().await;
        Ok(())
    });
    drop(db);
    // Whatever still holds the database ends with the runtime; then the writer can close the file.
    runtime.shutdown_timeout(listen::LAST_WAIT);
    writer.join();
    outcome
}

fn open(data: &DataDir, config: &Config, keys: &Keys) -> Result<(Db, WriterThread), Refused> {
    let context = Context { vault: Vault::new(keys)?, zone: config.zone.clone(), clock: Clock::System };
    let options = Options { database_bytes_max: config.database_bytes_max };
    Ok(Db::open(&data.database(), options, context)?)
}

/// Stops what the handle serves at the first signal to stop. Signals count from this call on.
pub fn stop_on_signal(handle: Handle<std::net::SocketAddr>) -> std::io::Result<JoinHandle<()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop: finishing what is in flight");
        handle.graceful_shutdown(Some(listen::DRAIN));
    }))
}

fn greet(
    arguments: &ServeArguments,
    config: &Config,
    listener: &TcpListener,
    first: &FirstPassword,
) -> Result<(), Refused> {
    let scheme = if config.tls == Tls::Off { "http" } else { "https" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    say(&format!("canshi is serving {} at {url}", arguments.data.display()))?;
    let password = match first {
        FirstPassword::SetBefore => return Ok(()),
        // Out of the single quotes, which the shell does not look into.
        FirstPassword::Given => "'\"$CANSHI_ADMIN_PASSWORD\"'".to_owned(),
        FirstPassword::Made(password) => {
            say(&format!("\nThe administrator's password, shown only this once:\n  admin  {password}"))?;
            password.clone()
        }
    };
    if arguments.demo {
        say(&demo::LOGINS)?;
    }
    say(&format!(
        "\nTry next (the API is described at {url}/docs):
  TOKEN=$(curl -s {url}/api/auth/login -H 'Content-Type: application/json' \\
    -d '{{\"username\":\"admin\",\"password\":\"{password}\"}}' | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')
  curl -s \"{url}/api/customers?page_size=3&fields=id,name,dietary_restrictions\" -H \"Authorization: Bearer $TOKEN\"
  curl -s \"{url}/api/finance/reports?report_type=monthly\" -H \"Authorization: Bearer $TOKEN\""
    ))
}
