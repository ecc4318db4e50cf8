//! Logs and metrics: daily JSON files with retention, a level that changes at run time, and the Prometheus registry.

mod lines;

use std::path::Path;
use std::sync::Arc;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};

use crate::domain::settings::LogLevel;
use lines::{Lines, LinesGuard};

/// Log files that are kept, one a day.
const LOG_FILES_MAX: usize = 30;
/// Bounds of the latency histograms, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Bounds of the group sizes.
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Changes how much the log says.
#[derive(Clone)]
pub struct LogControl(Arc<dyn Fn(LogLevel) + Send + Sync>);

impl LogControl {
    /// Has no log to change.
    pub fn none() -> Self {
        Self(Arc::new(|_| ()))
    }

    /// From now on the log says this much.
    pub fn set(&self, level: LogLevel) {
        (self.0)(level);
    }
}

/// Starts the log: a file a day in `directory`, and warnings on the terminal.
///
/// # Errors
/// When the directory can't be written to.
pub fn start(directory: &Path) -> std::io::Result<(LogControl, LinesGuard)> {
    std::fs::create_dir_all(directory)?;
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("canshi")
        .filename_suffix("log")
        .max_log_files(LOG_FILES_MAX)
        .build(directory)
        .map_err(std::io::Error::other)?;
    let (writer, guard) = Lines::start(files)?;
    let (level, handle) = reload::Layer::new(LevelFilter::INFO);
    let to_files = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer).with_filter(level);
    let to_terminal = fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(to_files).with(to_terminal).init();
    let control = LogControl(Arc::new(move |level| {
        if let Err(error) = handle.modify(|filter| *filter = filter_of(level)) {
            tracing::error!(error = %error, "the log level could not be changed");
        }
    }));
    Ok((control, guard))
}

/// Starts the log of a program without a directory of its own: lines of JSON on the standard error, for whatever runs it to keep.
///
/// What other crates say is passed on when it is a warning.
///
/// # Errors
/// When no thread can be started.
pub fn start_on_terminal(level: LogLevel) -> std::io::Result<LinesGuard> {
    let (writer, guard) = Lines::start(std::io::stderr())?;
    let lines = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer);
    tracing_subscriber::registry()
        .with(lines.with_filter(Targets::new().with_target("canshi", filter_of(level)).with_default(LevelFilter::WARN)))
        .init();
    Ok(guard)
}

const fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// The registry of the metrics, before it is installed for the process.
pub fn metrics() -> PrometheusBuilder {
    let matcher = |name: &str| Matcher::Full(name.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(matcher("canshi_http_request_seconds"), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(matcher("canshi_commit_seconds"), &SECONDS))
        .and_then(|builder| builder.set_buckets_for_metric(matcher("canshi_relay_apply_seconds"), &SECONDS))
        .and_then(|builder| builder.set_buckets_for_metric(matcher("canshi_commit_group_size"), &SIZES))
        .expect("the bounds are not empty")
}

/// Installs the registry for the process.
///
/// # Errors
/// When another one is installed already.
pub fn install_metrics() -> std::io::Result<PrometheusHandle> {
    metrics().install_recorder().map_err(std::io::Error::other)
}
