//! What the journal costs on disk, how fast it is verified, how large the binary is.

use bench::report::Report;
use bench::world::{Binary, World};
use serde_json::json;
use testkit::wait::now;

const EVENTS: usize = 20_000;
const PAYLOAD: usize = 300;

#[expect(clippy::cast_precision_loss, reason = "bytes of one run")]
pub(crate) fn run(qd: &Binary, report: &mut Report) -> anyhow::Result<()> {
    report.figure("the binary", qd.bytes as f64 / 1e6, "MB", "20");
    let mut world = World::new(qd, 10, "exec sleep 100000");
    let runtime = world.panes()[0]["runtime_id"].clone();
    let size = |world: &World| std::fs::metadata(world.env.database()).map_or(0, |it| it.len());
    stop(&mut world);
    let before = size(&world);
    world.start();
    let api = world.env.api();
    let payload = "x".repeat(PAYLOAD);
    for number in 0..EVENTS {
        let body = json!({
            "event_type": "bench-note", "source": "hook", "dedupe_key": format!("j-{number}"),
            "runtime_id": runtime, "raw_payload": payload,
        });
        api.post("/v1/events", &body).expect(202);
    }
    stop(&mut world);
    let each = (size(&world) - before) as f64 / EVENTS as f64;
    report.figure(&format!("bytes an event of {PAYLOAD} bytes"), each, "B", "450");
    report.figure("  against its payload", each / PAYLOAD as f64, "x", "1.5");
    let began = now();
    world.env.qd(&["journal", "verify"]).success();
    let seconds = began.elapsed().as_secs_f64();
    let what = format!("verify of {EVENTS} events, with the program's start");
    report.beside(&what, seconds * 1e3, "ms");
    Ok(())
}

fn stop(world: &mut World) {
    if let Some(daemon) = world.daemon.take() {
        daemon.stop();
    }
}

/// The present moment as the API writes it.
pub(crate) fn wall() -> String {
    let mut date = testkit::process::command("date");
    let output = date.args(["-u", "+%Y-%m-%dT%H:%M:%S.%3NZ"]).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}
