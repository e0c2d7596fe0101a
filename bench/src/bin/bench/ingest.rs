//! How many events a second become durable, and how long one takes.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::cost;
use bench::figures::Samples;
use bench::report::Report;
use bench::world::{Binary, World};
use testkit::wait::{Deadline, now};

use crate::limits::Disk;

const CLIENTS: usize = 64;
const LENGTH: Duration = Duration::from_secs(5);
/// A type that says nothing about a state.
const NOTE: &str = "bench-note";

pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    let world = World::new(qd, 10, "exec sleep 100000");
    let runtime = world.panes()[0]["runtime_id"].as_str().context("a runtime")?.to_owned();
    let socket = world.env.socket();
    let mut disk = Disk::of(world.env.root())?;
    let mut single = Samples::default();
    let mut client = Client::connect(&socket)?;
    for number in 0..1_000 {
        disk.ask()?;
        let began = now();
        client.emit(&runtime, NOTE, &format!("one-{number}"))?;
        single.push_ms(began.elapsed());
    }
    let pid = world.daemon().pid();
    let before = cost::cpu_s(pid);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let (socket, runtime) = (socket.clone(), runtime.clone());
            std::thread::spawn(move || -> anyhow::Result<usize> {
                let mut client = Client::connect(&socket)?;
                let end = Deadline::after(LENGTH);
                let mut sent = 0;
                while !end.left().is_zero() {
                    client.emit(&runtime, NOTE, &format!("c{index}-{sent}"))?;
                    sent += 1;
                }
                Ok(sent)
            })
        })
        .collect();
    let mut total = 0;
    for client in clients {
        total += client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
    let rate = total as f64 / LENGTH.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
    let us_each = (cost::cpu_s(pid) - before) * 1e6 / total as f64;
    report.figure(&format!("durable events, {CLIENTS} clients"), rate, "/s", "40000");
    report.beside("the daemon's processor time for each of them", us_each, "us");
    report.figure("one client, one event, median", single.median(), "ms", "1.5 x fsync");
    report.figure("  99 of 100", single.quantile(0.99), "ms", "5 x fsync's");
    let fsync = disk.tell(report);
    report.figure("  against fsync", single.median() / fsync, "x", "1.5");
    Ok(())
}

/// One kept connection that says as little as it can.
pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(socket: &std::path::Path) -> anyhow::Result<Self> {
        let writer = UnixStream::connect(socket)?;
        let reader = BufReader::new(writer.try_clone()?);
        Ok(Self { reader, writer, body: vec![0; 4096] })
    }

    pub(crate) fn emit(
        &mut self,
        runtime: &str,
        event_type: &str,
        key: &str,
    ) -> anyhow::Result<()> {
        let body = format!(
            r#"{{"event_type":"{event_type}","source":"hook","dedupe_key":"{key}","runtime_id":"{runtime}"}}"#
        );
        let request = format!(
            "POST /v1/events HTTP/1.1\r\nHost: qd\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.writer.write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        let (mut length, mut first) = (0, true);
        loop {
            let mut line = Vec::new();
            std::io::BufRead::read_until(&mut self.reader, b'\n', &mut line)?;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            if std::mem::take(&mut first) {
                ensure!(line.contains(" 202 "), "the event was not accepted: {line}");
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
            if line.is_empty() {
                break;
            }
        }
        self.reader.read_exact(&mut self.body[..length])?;
        Ok(())
    }
}
