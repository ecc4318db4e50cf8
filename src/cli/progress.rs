//! Progress of long work: a bar on a terminal, a line now and then elsewhere, on the standard error.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a terminal sees the bar move.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// How often a log sees a line.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Characters of the bar.
const WIDTH: u64 = 30;

/// How far some work is.
pub struct Progress {
    what: &'static str,
    terminal: bool,
    began: Instant,
    shown: Option<Instant>,
}

impl Progress {
    /// Work that begins now.
    pub fn new(what: &'static str) -> Self {
        Self { what, terminal: std::io::stderr().is_terminal(), began: Instant::now(), shown: None }
    }

    /// Shows that so much of so much is done, if it is time to.
    ///
    /// # Errors
    /// When the standard error is gone.
    pub fn show(&mut self, done: u64, all: u64) -> std::io::Result<()> {
        let every = if self.terminal { BAR_EVERY } else { LINE_EVERY };
        if self.shown.is_some_and(|shown| shown.elapsed() < every) {
            return Ok(());
        }
        self.shown = Some(Instant::now());
        let text = format!("{}: {done} of {all}{}", self.what, self.left(done, all));
        let mut out = std::io::stderr().lock();
        if self.terminal {
            let full = (done.min(all) * WIDTH).checked_div(all).unwrap_or(0);
            let bar: String = (0..WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
            write!(out, "\r[{bar}] {text}\x1b[K")?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush()
    }

    /// Ends the bar's line.
    ///
    /// # Errors
    /// When the standard error is gone.
    pub fn end(&self) -> std::io::Result<()> {
        if self.terminal && self.shown.is_some() { writeln!(std::io::stderr()) } else { Ok(()) }
    }

    /// How long it will take from here, at the speed so far.
    fn left(&self, done: u64, all: u64) -> String {
        let elapsed = self.began.elapsed().as_secs_f64();
        if done == 0 || done >= all || elapsed < 1.0 {
            return String::new();
        }
        let left = elapsed / done as f64 * (all - done) as f64;
        format!(", about {left:.0} s left")
    }
}
