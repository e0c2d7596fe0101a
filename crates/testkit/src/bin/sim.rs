//! The simulator's command; `./x sim` builds and calls it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use testkit::sim::{Failure, Plan, Tally, World, run, shrink};

const USAGE: &str = "\
usage: ./x sim [--minutes N | --seconds N] [--seed N] [--seeds N] [--engine | --whole] [--steps N]
       ./x sim --planted

  --minutes N   run fresh seeds for so long (default 1); --seconds for shorter
  --seed N      begin with this seed; alone, run just this one
  --seeds N     run so many seeds instead of for some time
  --engine      only the engine, without bytes and disk
  --whole       only the whole: tmux's bytes, the ledger and its file, watchers
  --steps N     steps of each run before the world heals
  --planted     plant bugs into a copy of the tree, and see whether they are found
";

/// How much of a failing run is shown.
const LINES_SHOWN: usize = 60;
const LINE_SHOWN: usize = 600;

/// What is to be done.
#[derive(Clone, Debug, Default)]
struct Orders {
    seconds: Option<u64>,
    seed: Option<u64>,
    seeds: Option<u64>,
    only: Option<World>,
    steps: Option<u64>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Orders::read(&arguments) {
        Some(orders) => orders.carry_out(),
        None => {
            say(USAGE);
            ExitCode::from(2)
        }
    }
}

impl Orders {
    fn read(arguments: &[String]) -> Option<Orders> {
        let mut orders = Orders::default();
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut number = || words.next()?.parse::<u64>().ok();
            match word {
                "--minutes" => orders.seconds = Some(number()? * 60),
                "--seconds" => orders.seconds = Some(number()?),
                "--seed" => orders.seed = Some(number()?),
                "--seeds" => orders.seeds = Some(number()?),
                "--steps" => orders.steps = Some(number()?),
                "--engine" => orders.only = Some(World::Engine),
                "--whole" => orders.only = Some(World::Whole),
                _ => return None,
            }
        }
        Some(orders)
    }

    fn carry_out(&self) -> ExitCode {
        let first = self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 16);
        let alone = self.seed.is_some() && self.seconds.is_none();
        let seeds = self.seeds.or(alone.then_some(1));
        let worlds = match self.only {
            Some(world) => vec![world],
            None => vec![World::Engine, World::Whole],
        };
        let time = Duration::from_secs(self.seconds.unwrap_or(60));
        let share = time / u32::try_from(worlds.len()).unwrap_or(1);
        for world in worlds {
            let plan = world.plan();
            let plan = Plan { steps: self.steps.unwrap_or(plan.steps), ..plan };
            let campaign = Campaign { world, plan, first, seeds, time: share };
            if let Err(failure) = campaign.run() {
                say(&tell(&failure));
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }
}

/// Many seeds of one world.
struct Campaign {
    world: World,
    plan: Plan,
    first: u64,
    /// How many, or as many as the time allows.
    seeds: Option<u64>,
    time: Duration,
}

impl Campaign {
    #[expect(clippy::disallowed_methods, reason = "the speed of a simulation is real time")]
    fn run(&self) -> Result<(), Box<Failure>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        say(&format!("{}: seeds from {}, {threads} threads\n", self.world.as_str(), self.first));
        let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let found: Mutex<(Tally, Option<Box<Failure>>)> = Mutex::default();
        let began = Instant::now();
        let work = || {
            while !stopped.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let over = self.seeds.map_or(began.elapsed() >= self.time, |most| index >= most);
                if over {
                    break;
                }
                let result = run(self.world, self.first.wrapping_add(index), self.plan);
                let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                match result {
                    Ok(tally) => found.0.add(&tally),
                    Err(failure) => {
                        found.1.get_or_insert(failure);
                        stopped.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let (tally, failure) =
            found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        say(&summary(&tally, began.elapsed()));
        failure.map_or(Ok(()), Err)
    }
}

fn summary(tally: &Tally, elapsed: Duration) -> String {
    let rate = |count: u64| {
        let seconds = elapsed.as_secs_f64().max(0.001);
        // Only for people: a rounded figure is what is wanted.
        format!("{:.0}", u32::try_from(count).map_or(f64::INFINITY, f64::from) / seconds)
    };
    let mut text = format!(
        "  {} seeds, {} steps ({}/s), {} rows of the journal ({}/s)\n",
        tally.runs,
        tally.steps,
        rate(tally.steps),
        tally.rows,
        rate(tally.rows)
    );
    let counts: BTreeMap<_, _> = tally.counts.iter().collect();
    let counts: Vec<String> =
        counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
    writeln!(text, "  {}", counts.join(", ")).ok();
    text
}

/// A failure for a reader: what, where, what came before it, and how to see it again.
fn tell(failure: &Failure) -> String {
    let smaller = shrink(failure);
    let mut text = format!(
        "\nFAILED: {} seed {}, step {}\n{}\n\nwhat happened last:\n",
        smaller.world.as_str(),
        smaller.seed,
        smaller.step,
        smaller.violation
    );
    let shown = smaller.trace.len().saturating_sub(LINES_SHOWN);
    for line in &smaller.trace[shown..] {
        let end = (0..=LINE_SHOWN.min(line.len())).rev().find(|end| line.is_char_boundary(*end));
        writeln!(text, "  {}", &line[..end.unwrap_or(0)]).ok();
    }
    writeln!(text, "\nrepeat it with\n  {}", smaller.repeat()).ok();
    text
}

fn say(text: &str) {
    // A reader that is gone is not told.
    std::io::stdout().write_all(text.as_bytes()).ok();
}
