//! `qd target install`: a copy of `qd` on another machine, for its hooks to be quicker there.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use api::target_name::TargetName;
use api::words::{Health, SchemaVersion};
use api::{ErrorCode, ExitCode, Timestamp};
use clap::{Args, ValueHint};
use daemon::targets::program::{Copied, Parcel, ProgramThere, Standing};
use serde::Serialize;

use super::is_left_alone;
use super::program::{Program, hexadecimal};
use crate::commands::Outcome;
use crate::commands::consent::Consent;
use crate::commands::filters::target_name;
use crate::commands::setup::Copies;
use crate::commands::setup::there::{There, listed};
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output::text::Text;
use crate::starter::this_program;

/// Copy this qd to a target, so that the hooks which are set up there are quicker
///
/// Nothing depends on it: hooks there work as well by the small script that `qd setup --target` puts
/// there, and do so again as soon as the copy is missing or does not run. It has to be linked
/// statically, and be for the machine there. Shows what it would do and asks first.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstallArgs {
    /// The target
    name: String,
    /// Take the copy away again; the hooks there go on by their script
    #[arg(long, conflicts_with_all = ["program", "even_so"])]
    undo: bool,
    /// Copy this build of qd, such as one for another machine
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    program: Option<PathBuf>,
    /// Copy it although it is not linked statically, or is a debug build
    #[arg(long)]
    even_so: bool,
    #[command(flatten)]
    consent: Consent,
}

/// What `qd target install --json` prints. It is done by this command itself.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: SchemaVersion,
    generated_at: Timestamp,
    target: TargetName,
    dry_run: bool,
    undo: bool,
    outcome: What,
    /// Where the copy is, on that machine.
    path: String,
    /// What is to be there; null where it is taken away.
    version: Option<String>,
    sha256: Option<String>,
    bytes: Option<usize>,
    /// What was there before; null where nothing was, empty where it did not say.
    before: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    NothingToDo,
    WouldChange,
    Changed,
}

/// Everything that is known before something is done.
struct Scene {
    there: Rc<There>,
    seen: ProgramThere,
    path: PathBuf,
    /// What is to be copied; nothing where a copy is taken away.
    program: Option<Program>,
}

pub(crate) fn run(console: &Console, args: &InstallArgs) -> Outcome {
    let name = target_name(&args.name)?;
    admitted(console, &name)?;
    let program = if args.undo { None } else { Some(own(args)?) };
    let there = There::reach(console, name.clone(), &["HOME"])?;
    let seen = there.program()?;
    let path = there.state()?.join(format!("qd-{}", seen.machine));
    let scene = Scene { there, seen, path, program };
    if let Some(program) = &scene.program {
        fits(&scene, program)?;
    }
    if scene.seen.standing == Standing::Other {
        let message = format!("{} is no regular file", scene.shown());
        return Err(Failure::new(ErrorCode::PreconditionFailed, message)
            .with_hint("Somebody else put it there: move it away. Nothing was changed."));
    }
    let copies = Copies::of(&console.paths()?.home, &name);
    let outcome = if !scene.is_wanted() {
        remember(&scene, &copies, args.consent.dry_run)?;
        What::NothingToDo
    } else if args.consent.dry_run {
        What::WouldChange
    } else if args.consent.given(console, &Text::plain(scene.question()), scene.deed())? {
        carry_out(&scene, &copies)?;
        What::Changed
    } else {
        console.terminal.note(&[Text::plain("Nothing was changed.")]);
        return Ok(ExitCode::Failure);
    };
    console.done(tell(console, args, &scene, outcome));
    Ok(ExitCode::Ok)
}

/// What a copy that was just made is asked by the script that made it, where nothing else there can
/// tell a hash.
pub(crate) fn hash_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(hexadecimal(&bytes))
}

/// Refuses whoever is no person's client, and a target that is not there to be changed.
fn admitted(console: &Console, name: &TargetName) -> Result<(), Failure> {
    let mut client = console.client()?;
    let (item, _) = listed(&mut client, name)?;
    // Who may hold a connection may have programs run there: a person's own client, and nobody
    // over TCP or below an agent. A way that is no ssh has nothing to hold, which is no refusal.
    match wait(async { Ok(client.hold_target(name).await?.read()?) }) {
        Ok(_) => {}
        Err(Failure::Told(error)) if error.code == ErrorCode::Unsupported => {}
        Err(failure) => return Err(failure),
    }
    if is_left_alone(&item) {
        let message = format!("`{name}` was disconnected");
        return Err(Failure::new(ErrorCode::TargetDisconnected, message));
    }
    if item.health == Health::Down {
        let why = item.health_message.or(item.health_reason).unwrap_or_default();
        let message = format!("`{name}` is down: {why}");
        return Err(Failure::new(ErrorCode::TargetUnreachable, message)
            .with_hint(format!("`qd target test {name}` says what stands in the way.")));
    }
    Ok(())
}

/// The program that is meant, if it is one to be copied.
fn own(args: &InstallArgs) -> Result<Program, Failure> {
    let path = match &args.program {
        Some(path) => path.clone(),
        None => this_program()?,
    };
    let program = Program::read(&path)?;
    let unfit = |why: &str| {
        let message = format!("{} {why}", path.display());
        Failure::new(ErrorCode::ProgramUnfit, message).with_hint(
            "`./x build` makes one for use; --program names it, and --even-so takes this all the \
             same. Nothing was changed.",
        )
    };
    if !program.is_static && !args.even_so {
        return Err(unfit("is not linked statically: it needs libraries that may not be there"));
    }
    if program.is_debug && !args.even_so {
        return Err(unfit("is a debug build"));
    }
    Ok(program)
}

/// Refuses a machine on which the program could not run, or would be of no use.
fn fits(scene: &Scene, program: &Program) -> Result<(), Failure> {
    let Scene { there, seen, .. } = scene;
    let name = &there.name;
    if seen.system != "Linux" || seen.machine != program.machine {
        let (system, machine) = (&seen.system, &seen.machine);
        let message = format!(
            "{name} is {system} on {machine}, and this program is for Linux on {}",
            program.machine
        );
        return Err(Failure::new(ErrorCode::ProgramUnfit, message).with_hint(
            "--program names a qd for that machine. Nothing was changed: hooks there go on by \
             their script.",
        ));
    }
    let setup = format!("qd setup AGENT --target {name}");
    let stands_in_the_way = |message: String, hint: String| {
        Failure::new(ErrorCode::PreconditionFailed, message).with_hint(hint)
    };
    match there.script_text()? {
        None => {
            let message = format!("no hooks are set up on {name}, so nothing would run it");
            return Err(stands_in_the_way(message, format!("First: {setup}")));
        }
        Some(text) if text != agents::setup::HOOK => {
            let message = format!("the script of the hooks on {name} is not that of this version");
            return Err(stands_in_the_way(message, format!("Bring it up to date: {setup}")));
        }
        Some(_) => {}
    }
    if !seen.is_open {
        let folder = there.shown(&there.state()?);
        let message = format!("{folder} may not be written to");
        return Err(stands_in_the_way(message, "Look at whose it is there.".to_owned()));
    }
    let needed_kib = program.bytes.len() as u64 / 1024 + 1;
    match seen.room_kib {
        Some(room_kib) if room_kib < needed_kib && scene.is_wanted() => {
            let message = format!(
                "there is no room on {name}: {needed_kib} KiB are needed, {room_kib} KiB are left"
            );
            Err(stands_in_the_way(message, "Make room there. Nothing was changed.".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

impl Scene {
    fn shown(&self) -> String {
        self.there.shown(&self.path)
    }

    /// Whether something has to be done.
    fn is_wanted(&self) -> bool {
        match (&self.program, &self.seen.standing) {
            (None, standing) => *standing != Standing::Absent,
            (Some(program), Standing::File { hash, is_executable, .. }) => {
                *hash != program.hash || !is_executable
            }
            (Some(_), Standing::Absent | Standing::Other) => true,
        }
    }

    /// What stood there, in words; empty where that did not say.
    fn before(&self) -> Option<&str> {
        match &self.seen.standing {
            Standing::File { says, .. } => Some(says),
            Standing::Absent | Standing::Other => None,
        }
    }

    fn deed(&self) -> &'static str {
        if self.program.is_some() { "copying a program there" } else { "taking the copy away" }
    }

    fn question(&self) -> String {
        let shown = self.shown();
        let Some(program) = &self.program else { return format!("Take {shown} away?") };
        let instead = match self.before() {
            None => String::new(),
            Some("") => ", in place of one that does not say what it is".to_owned(),
            Some(says) => format!(", in place of {says}"),
        };
        format!("Copy {} to {shown}{instead}?", described(program))
    }
}

/// A program, as it is told.
fn described(program: &Program) -> String {
    let kib = program.bytes.len().div_ceil(1024);
    let hash = program.hash.get(..12).unwrap_or_default();
    format!("{} ({kib} KiB, sha256 {hash}...)", program.version())
}

/// What stands there counts as copied from here, whoever copied it; what does not, does not.
fn remember(scene: &Scene, copies: &Copies, dry_run: bool) -> Result<(), Failure> {
    if dry_run {
        return Ok(());
    }
    match &scene.program {
        None => copies.forget(),
        Some(program) => {
            let _turn = copies.turn()?;
            copies.intend(&scene.path, &program.hash)
        }
    }
}

fn carry_out(scene: &Scene, copies: &Copies) -> Result<(), Failure> {
    let _turn = copies.turn()?;
    let Some(program) = &scene.program else {
        scene.there.remove_program()?;
        return copies.forget();
    };
    copies.intend(&scene.path, &program.hash)?;
    let (bytes, hash, version) = (&program.bytes, &program.hash, &program.version());
    let copied = scene.there.copy_program(Parcel { bytes, hash, version })?;
    let failed = |code: ErrorCode, why: String, hint: &str| {
        let message = format!("{}: {why}", scene.there.name);
        Err(Failure::new(code, message).with_hint(format!("{hint} What was there stays.")))
    };
    match copied {
        Copied::Done => return Ok(()),
        Copied::Unwritten(said) => failed(
            ErrorCode::PreconditionFailed,
            format!("the copy cannot be written: {said}"),
            "Look at the room and the permissions there.",
        ),
        Copied::Damaged => failed(
            ErrorCode::Interrupted,
            "what arrived is not what was sent".to_owned(),
            "Repeat it.",
        ),
        Copied::Unfit(said) => failed(
            ErrorCode::ProgramUnfit,
            format!("the copy does not run there: {said}"),
            "Its folder may forbid programs, or its kernel be too old; hooks go on by their script.",
        ),
    }
    .inspect_err(|_| {
        // One that was there already is still a copy of ours.
        if scene.seen.standing == Standing::Absent {
            drop(copies.forget());
        }
    })
}

fn tell(
    console: &Console,
    args: &InstallArgs,
    scene: &Scene,
    outcome: What,
) -> Result<(), Failure> {
    let program = scene.program.as_ref();
    if console.is_json() {
        let report = Report {
            schema_version: SchemaVersion::V1,
            generated_at: console.now(),
            target: scene.there.name.clone(),
            dry_run: args.consent.dry_run,
            undo: args.undo,
            outcome,
            path: scene.path.display().to_string(),
            version: program.map(Program::version),
            sha256: program.map(|it| it.hash.clone()),
            bytes: program.map(|it| it.bytes.len()),
            before: scene.before().map(str::to_owned),
        };
        let text = serde_json::to_string(&report);
        let text = text.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        return console.terminal.json(&text);
    }
    console.terminal.line(sentence(scene, outcome))
}

fn sentence(scene: &Scene, outcome: What) -> String {
    let shown = scene.shown();
    match (outcome, &scene.program) {
        (What::NothingToDo, None) => format!("{}: no copy is there.", scene.there.name),
        (What::NothingToDo, Some(program)) => {
            format!("{shown} is {} already; nothing was copied.", described(program))
        }
        (What::WouldChange, _) => format!("Would ask: {}", scene.question()),
        (What::Changed, None) => format!("Took {shown} away. Hooks there go on by their script."),
        (What::Changed, Some(program)) => {
            format!("Copied {} to {shown}. Hooks there run it from now on.", described(program))
        }
    }
}

/// What `qd target test` says of a copy: its version, and whether it is this very program.
pub(super) fn standing(seen: &ProgramThere) -> (bool, String) {
    let own = this_program().ok().and_then(|path| std::fs::read(Path::new(&path)).ok());
    match &seen.standing {
        Standing::Absent => (true, "no qd was copied there; hooks run by their script".to_owned()),
        Standing::Other => (false, format!("qd-{} is no regular file", seen.machine)),
        Standing::File { is_executable: false, .. } => {
            (false, "the copy of qd there is not executable; hooks run by their script".to_owned())
        }
        Standing::File { says, .. } if !says.starts_with("qd ") => {
            (false, "the copy of qd there does not run; hooks run by their script".to_owned())
        }
        Standing::File { says, hash, .. } => {
            let is_own = own.is_some_and(|bytes| hexadecimal(&bytes) == *hash);
            let which = if is_own { "this one" } else { "another build than this one" };
            (true, format!("hooks run the copy of {says}, {which}"))
        }
    }
}
