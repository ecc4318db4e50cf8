//! A TCP line between two processes that a test can make bad, and good again.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant;

/// The largest piece that is carried at once.
const PIECE: usize = 64 * 1024;

/// What is wrong with the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Every connection was closed, and new ones are closed at once.
    Cut,
    /// Nothing gets through, and nobody is told. What was sent meanwhile arrives when the fault ends, as on a real line.
    BlackHole,
    /// Every piece takes this much longer, in each direction.
    Latency(Duration),
    /// Requests arrive and answers are lost. A connection that lost something is closed when the fault ends.
    LoseAnswers,
    /// Cut, once so many more bytes have passed, whichever way. A receiver that was sending too may lose the last of them, as
    /// its system then reports the broken connection first.
    CutAfter(u64),
}

/// The line, gone when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    line: Arc<Line>,
    runtime: Option<Runtime>,
}

/// What all connections know.
struct Line {
    target: SocketAddr,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy)]
struct State {
    fault: Fault,
    /// How often the line was cut: a connection from before a cut is dead, even if it was mended in the meantime.
    cuts: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

impl Proxy {
    /// A good line to this address.
    pub fn new(target: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (state, _) = watch::channel(State { fault: Fault::Pass, cuts: 0 });
        let line = Arc::new(Line { target, state });
        let accepting = line.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().connection(client));
            }
        });
        Self { address, line, runtime: Some(runtime) }
    }

    /// Makes the line bad in this way, and in this way only.
    pub fn set(&self, fault: Fault) {
        self.line.set(fault);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It doesn't wait, so it may be dropped within a runtime too.
            runtime.shutdown_background();
        }
    }
}

impl Line {
    fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.cuts += u64::from(fault == Fault::Cut);
        });
    }

    fn now(&self) -> State {
        *self.state.borrow()
    }

    /// Carries one connection until both sides have ended it or the line is cut.
    async fn connection(self: Arc<Self>, client: TcpStream) {
        let born = self.now();
        let (mut cut, mut hole) = (self.state.subscribe(), self.state.subscribe());
        if born.fault == Fault::Cut {
            return;
        }
        let carried = async {
            hole.wait_for(|state| state.fault != Fault::BlackHole).await.unwrap();
            let server = TcpStream::connect(self.target).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let requests = self.pump(born, Direction::Request, from_client, to_server);
            let answers = self.pump(born, Direction::Answer, from_server, to_client);
            tokio::try_join!(requests, answers)
        };
        tokio::select! {
            biased;
            _ = cut.wait_for(|state| state.cuts != born.cuts) => {}
            // A connection that broke is closed on both sides, whatever broke it.
            _ = carried => {}
        }
    }

    /// Carries one direction until its sender has ended it, which its receiver is then told.
    async fn pump(&self, born: State, way: Direction, from: OwnedReadHalf, to: OwnedWriteHalf) -> io::Result<()> {
        let mut changes = self.state.subscribe();
        let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let (mut lost, mut ended) = (false, false);
        loop {
            let State { fault, cuts } = *changes.borrow_and_update();
            let swallowing = fault == Fault::LoseAnswers && way == Direction::Answer;
            let silent = swallowing || fault == Fault::BlackHole;
            if swallowing && !waiting.is_empty() {
                waiting.clear();
                lost = true;
            }
            if cuts != born.cuts || (lost && !swallowing) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if ended && waiting.is_empty() && !silent {
                return Ok(());
            }
            let due = waiting.front().map(|(at, _)| *at).filter(|_| !silent);
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some((_, piece)) = waiting.pop_front() {
                        self.deliver(born, &to, &piece).await?;
                    }
                }
                piece = read(&from), if !ended => {
                    // A sender that broke has ended too.
                    let piece = piece.unwrap_or_default();
                    let delay = if let Fault::Latency(delay) = fault { delay } else { Duration::ZERO };
                    ended = piece.is_empty();
                    if !ended {
                        waiting.push_back((Instant::now() + delay, piece));
                    }
                }
            }
        }
    }

    /// Writes a piece, or as much of it as may still pass before the cut.
    async fn deliver(&self, born: State, to: &OwnedWriteHalf, piece: &[u8]) -> io::Result<()> {
        let mut rest = piece;
        while !rest.is_empty() {
            to.writable().await?;
            let mut written = Err(io::ErrorKind::ConnectionAborted.into());
            // In one step, so that exactly the bytes that pass are counted.
            self.state.send_if_modified(|state| {
                if state.cuts != born.cuts {
                    return false;
                }
                let Fault::CutAfter(left) = &mut state.fault else {
                    written = to.try_write(rest);
                    return false;
                };
                let allowed = rest.len().min(usize::try_from(*left).unwrap());
                written = to.try_write(&rest[..allowed]);
                *left -= *written.as_ref().unwrap_or(&0) as u64;
                let spent = *left == 0;
                if spent {
                    *state = State { fault: Fault::Cut, cuts: state.cuts + 1 };
                }
                spent
            });
            match written {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What came next; nothing when the sender has ended.
async fn read(from: &OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    loop {
        from.readable().await?;
        match from.try_read(&mut piece) {
            Ok(length) => {
                piece.truncate(length);
                return Ok(piece);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Fault, Proxy};
    use crate::schedule::{Seed, rounds};

    /// Longer than this nothing takes on a good line.
    const LONG: Duration = Duration::from_secs(20);
    /// After this much silence nothing is thought to come.
    const SILENCE: Duration = Duration::from_millis(100);

    /// A server that sends back what it gets, and tells the test of it.
    fn echo() -> (SocketAddr, Receiver<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, hearing) = channel();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let heard = heard.clone();
                thread::spawn(move || {
                    let mut piece = [0; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut piece) {
                        // The test, or the line, may be gone.
                        drop(heard.send(piece[..length].to_vec()));
                        drop(stream.write_all(&piece[..length]));
                    }
                });
            }
        });
        (address, hearing)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    fn answered(stream: &mut TcpStream, word: &[u8]) {
        stream.write_all(word).unwrap();
        let mut answer = vec![0; word.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, word);
    }

    #[track_caller]
    fn closed(stream: &mut TcpStream) {
        match stream.read(&mut [0; 16]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("the connection is not closed: {other:?}"),
        }
    }

    #[track_caller]
    fn silent(stream: &mut TcpStream) {
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(LONG)).unwrap();
    }

    #[test]
    fn a_good_line_carries_everything_and_both_ends() {
        let (server, _hearing) = echo();
        let proxy = Proxy::new(server);
        let mut stream = connect(&proxy);
        let sent: Vec<u8> = (0..1 << 20).map(|place: u32| (place % 251) as u8).collect();
        let (mut writing, bytes) = (stream.try_clone().unwrap(), sent.clone());
        let writer = thread::spawn(move || {
            writing.write_all(&bytes).unwrap();
            writing.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        writer.join().unwrap();
        assert!(answer == sent, "{} bytes came back changed", answer.len());
    }

    #[test]
    fn a_cut_line_closes_old_and_new_connections_until_it_is_mended() {
        let (server, _hearing) = echo();
        let proxy = Proxy::new(server);
        let mut before = connect(&proxy);
        answered(&mut before, b"one");
        proxy.set(Fault::Cut);
        closed(&mut connect(&proxy));
        proxy.set(Fault::Pass);
        closed(&mut before);
        answered(&mut connect(&proxy), b"two");
    }

    #[test]
    fn what_is_sent_into_a_black_hole_arrives_when_it_ends() {
        let (server, hearing) = echo();
        let proxy = Proxy::new(server);
        let mut old = connect(&proxy);
        answered(&mut old, b"one");
        assert_eq!(hearing.recv().unwrap(), b"one");
        proxy.set(Fault::BlackHole);
        let mut new = connect(&proxy);
        for stream in [&mut old, &mut new] {
            stream.write_all(b"two").unwrap();
            silent(stream);
        }
        assert!(hearing.try_recv().is_err());
        proxy.set(Fault::Pass);
        for stream in [&mut old, &mut new] {
            let mut answer = [0; 3];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"two");
        }
    }

    #[test]
    fn latency_counts_in_both_directions() {
        let (server, _hearing) = echo();
        let proxy = Proxy::new(server);
        let mut stream = connect(&proxy);
        let delay = Duration::from_millis(50);
        proxy.set(Fault::Latency(delay));
        let started = Instant::now();
        answered(&mut stream, b"one");
        assert!(started.elapsed() >= 2 * delay);
    }

    #[test]
    fn a_request_whose_answer_is_lost_has_arrived() {
        let (server, hearing) = echo();
        let proxy = Proxy::new(server);
        let mut stream = connect(&proxy);
        answered(&mut stream, b"one");
        proxy.set(Fault::LoseAnswers);
        stream.write_all(b"two").unwrap();
        assert_eq!(hearing.recv().unwrap(), b"one");
        assert_eq!(hearing.recv_timeout(LONG).unwrap(), b"two");
        silent(&mut stream);
        proxy.set(Fault::Pass);
        closed(&mut stream);
        answered(&mut connect(&proxy), b"three");
    }

    #[test]
    fn a_line_is_cut_at_the_very_byte() {
        let mut seed = Seed::from_env("CANSHI_FAULT_SEED");
        for _ in 0..rounds("CANSHI_FAULT_ROUNDS", 20) {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let proxy = Proxy::new(listener.local_addr().unwrap());
            let mut client = connect(&proxy);
            // A server that has nothing unread to lose when the line is cut.
            let (mut server, _) = listener.accept().unwrap();
            let bytes = 1 + seed.below(20_000);
            proxy.set(Fault::CutAfter(bytes));
            let writer = thread::spawn(move || while client.write_all(&[7; 100]).is_ok() {});
            let mut arrived = Vec::new();
            server.read_to_end(&mut arrived).unwrap();
            writer.join().unwrap();
            assert_eq!(arrived.len() as u64, bytes);
        }
    }
}
