//! A line between two machines of a test: it takes its time, counts what goes over it, and can go
//! dead without a word, as a cable does that somebody pulls.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::wait::now;

/// Leads to a port of the loopback. Dropping it cuts everything that goes over it.
#[derive(Debug)]
pub struct Link {
    port: u16,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    to: u16,
    delay: Duration,
    /// How many bytes it carries in a second, where that is few.
    rate: Option<u32>,
    bytes: AtomicU64,
    ended: AtomicBool,
    dead: Mutex<bool>,
    changed: Condvar,
    ends: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// A line to this port on which everything takes so long, each way.
    #[must_use]
    pub fn to(port: u16, delay: Duration) -> Self {
        Self::with(port, delay, None)
    }

    /// A line to this port on which each connection carries so many bytes a second, each way. What is
    /// more than that waits on the line, as in the buffers of a bad one.
    #[must_use]
    pub fn slow(port: u16, bytes_per_s: u32) -> Self {
        Self::with(port, Duration::ZERO, Some(bytes_per_s))
    }

    fn with(port: u16, delay: Duration, rate: Option<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let here = listener.local_addr().expect("it has an address").port();
        let line = Arc::new(Line {
            to: port,
            delay,
            rate,
            bytes: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            dead: Mutex::new(false),
            changed: Condvar::new(),
            ends: Mutex::default(),
        });
        let carried = Arc::clone(&line);
        thread::spawn(move || {
            for end in listener.incoming().flatten() {
                if carried.ended.load(Ordering::SeqCst) {
                    return;
                }
                carried.connect(end);
            }
        });
        Self { port: here, line }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many bytes went over it so far, in both directions.
    pub fn bytes(&self) -> u64 {
        self.line.bytes.load(Ordering::Relaxed)
    }

    /// From now on nothing arrives at the other end, and nobody is told.
    pub fn cut(&self) {
        self.line.set_dead(true);
    }

    /// What was on its way arrives after all.
    pub fn mend(&self) {
        self.line.set_dead(false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.line.ended.store(true, Ordering::SeqCst);
        self.line.set_dead(false);
        for end in self.line.ends.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            end.shutdown(Shutdown::Both).ok();
        }
        // Whoever waits for the next connection learns of it by one.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

impl Line {
    fn set_dead(&self, dead: bool) {
        *self.dead.lock().unwrap_or_else(PoisonError::into_inner) = dead;
        self.changed.notify_all();
    }

    fn wait_while_dead(&self) {
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(dead, |dead| *dead));
    }

    fn connect(self: &Arc<Self>, near: TcpStream) {
        let line = Arc::clone(self);
        thread::spawn(move || {
            line.wait_while_dead();
            let to = SocketAddr::from(([127, 0, 0, 1], line.to));
            // Nobody listens there: the near end learns of it by the end of its connection.
            let Ok(far) = TcpStream::connect(to) else { return };
            for end in [&near, &far] {
                // What is small goes at once, as it would without a line between.
                end.set_nodelay(true).ok();
            }
            let copies = (near.try_clone(), far.try_clone());
            let (Ok(near_out), Ok(far_out)) = copies else { return };
            line.hold([&near, &far]);
            line.carry(near, far_out);
            line.carry(far, near_out);
        });
    }

    fn hold(&self, ends: [&TcpStream; 2]) {
        let mut held = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(ends.into_iter().filter_map(|end| end.try_clone().ok()));
    }

    /// Carries one direction: one takes in, the other gives out when it is time.
    fn carry(self: &Arc<Self>, mut from: TcpStream, to: TcpStream) {
        let (give, taken) = channel();
        let line = Arc::clone(self);
        thread::spawn(move || line.give_out(&taken, to));
        let (delay, rate) = (self.delay, self.rate);
        thread::spawn(move || {
            let mut chunk = vec![0; if rate.is_some() { 1_024 } else { 64 * 1_024 }];
            let mut free = now();
            while let Ok(count @ 1..) = from.read(&mut chunk) {
                let takes = rate.map(|rate| Duration::from_secs(count as u64) / rate);
                free = free.max(now()) + takes.unwrap_or_default();
                if give.send((free + delay, chunk[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
    }

    fn give_out(&self, taken: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
        for (due, chunk) in taken {
            thread::sleep(due.saturating_duration_since(now()));
            self.wait_while_dead();
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if to.write_all(&chunk).is_err() {
                break;
            }
        }
        self.wait_while_dead();
        to.shutdown(Shutdown::Write).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line to somebody who says back what is said to them.
    fn echo(line: impl FnOnce(u16) -> Link) -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = line(listener.local_addr().unwrap().port());
        thread::spawn(move || {
            let (mut end, _) = listener.accept().unwrap();
            let mut back = end.try_clone().unwrap();
            std::io::copy(&mut end, &mut back).ok();
        });
        let end = TcpStream::connect(("127.0.0.1", link.port())).unwrap();
        (link, end)
    }

    fn say(end: &mut TcpStream) -> Duration {
        let start = now();
        end.write_all(b"hello").unwrap();
        let mut said = [0; 5];
        end.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello");
        start.elapsed()
    }

    #[test]
    fn what_goes_over_a_line_takes_its_time_and_is_counted() {
        let delay = Duration::from_millis(20);
        let (link, mut end) = echo(|port| Link::to(port, delay));
        assert!(say(&mut end) >= delay * 2);
        assert_eq!(link.bytes(), 10);
    }

    #[test]
    fn a_slow_line_carries_so_much_in_a_second() {
        let (_link, mut end) = echo(|port| Link::slow(port, 50_000));
        let start = now();
        let mut said = vec![7; 10_000];
        end.write_all(&said).unwrap();
        end.read_exact(&mut said).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(200));
    }

    #[test]
    fn a_line_that_is_dead_says_nothing_and_delivers_when_it_is_mended() {
        let (link, mut end) = echo(|port| Link::to(port, Duration::ZERO));
        say(&mut end);
        link.cut();
        end.write_all(b"hello").unwrap();
        end.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut said = [0; 5];
        assert!(end.read(&mut said).is_err(), "nothing came over it");
        link.mend();
        end.set_read_timeout(None).unwrap();
        end.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello");
    }

    #[test]
    fn a_line_that_is_taken_away_ends_what_goes_over_it() {
        let (link, mut end) = echo(|port| Link::to(port, Duration::ZERO));
        say(&mut end);
        drop(link);
        assert!(matches!(end.read(&mut [0; 5]), Ok(0) | Err(_)));
    }
}
