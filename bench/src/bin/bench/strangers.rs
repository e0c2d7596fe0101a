//! What those who open many connections and say nothing cost everybody else.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use serde_json::json;
use testkit::Http;
use testkit::wait::{self, now};

/// Requests of each kind, with strangers and without.
const REQUESTS: usize = 2_000;
/// Connections that are held by strangers at a time, and opened by them in all at least.
const HELD: usize = 800;
const OPENED: usize = 10_000;

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let mut world = World::without_daemon(qd, 20, "exec sleep 100000");
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    world.env.configure(&format!("[api]\nlisten = \"{address}\"\n"));
    world.start();
    world.settle(20);
    let made = world.env.api().post("/v1/tokens", &json!({ "name": "known", "scope": "read" }));
    let made = made.expect(201);
    let secret = made["secret"].as_str().context("a token")?;
    let clients = [("over TCP", Http::tcp(address, Some(secret))), ("own socket", world.env.api())];
    let quiet: Vec<Samples> = clients.iter().map(|(_, client)| ask(client)).collect();
    let strangers = Strangers::begin(address);
    wait::until("as many strangers were there", || {
        (strangers.opened.load(Ordering::Relaxed) >= OPENED).then_some(())
    });
    let crowded: Vec<Samples> = clients.iter().map(|(_, client)| ask(client)).collect();
    let opened = strangers.end()?;
    #[expect(clippy::cast_precision_loss, reason = "a count of connections")]
    report.beside("connections that strangers opened", opened as f64, "");
    for (((name, _), quiet), crowded) in clients.iter().zip(&quiet).zip(&crowded) {
        let [before, after] = [quiet, crowded].map(|it| it.quantile(0.99));
        report.beside(&format!("a list of 20 {name}, p99 alone"), before, "ms");
        report.beside("  beside strangers", after, "ms");
        report.figure("  that is", after / before, "x", "2");
    }
    Ok(())
}

/// How long a list takes, each over a connection of its own.
fn ask(client: &Http) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..REQUESTS {
        let began = now();
        client.get("/v1/panes").expect(200);
        samples.push_ms(began.elapsed());
    }
    samples
}

/// Somebody who opens connections without end: half of them silent, half with a head that comes
/// one byte at a time.
struct Strangers {
    opened: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<std::io::Result<()>>,
}

impl Strangers {
    fn begin(address: SocketAddr) -> Self {
        let (opened, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ending) = (Arc::clone(&opened), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut held: Vec<TcpStream> = Vec::new();
            while !ending.load(Ordering::Relaxed) {
                let mut stranger = TcpStream::connect(address)?;
                let number = counted.fetch_add(1, Ordering::Relaxed);
                if number % 2 == 0 {
                    stranger.write_all(b"GET /v1/panes HTTP/1.1\r\nx: ").ok();
                }
                if held.len() < HELD {
                    held.push(stranger);
                } else {
                    held[number % HELD] = stranger;
                }
                // One of those who wait says a little more.
                let talks = number / 2 % held.len();
                held[talks].write_all(b"y").ok();
                if number > OPENED {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Ok(())
        });
        Self { opened, over, thread }
    }

    /// How many connections there were.
    fn end(self) -> anyhow::Result<usize> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("a stranger panicked"))??;
        Ok(self.opened.load(Ordering::Relaxed))
    }
}
