//! Taking back what was not begun: once, by whom it may be, and never what is on its way.

use engine::action::{Act, ActRequest, Outcome};
use engine::engine::Engine;
use engine::event::{Actor, Event};
use engine::ids::{ActionId, ApprovalId, TokenId};
use engine::input::Refusal;
use engine::limits;
use engine::settings::Settings;
use engine::words::{ActionProblem, Choice, FromAgents, Phase, Proof, State};

use crate::actions::{
    agent_world, ask, below_an_agent, cancel, problem, prompt, released, report, request, send,
    told,
};
use crate::world::World;

const PERSON: Actor = Actor::Client { uid: 7, pid: Some(12) };

/// The agent in pane 3 works, and prompts 1 and 2 wait for it.
fn two_wait() -> World {
    let mut world = agent_world(&[State::Running]);
    for number in [1, 2] {
        let asked = request(&world, number, 3, prompt(true));
        assert!(ask(&mut world, &asked).unwrap().is_parked());
    }
    world
}

fn rests(world: &mut World) {
    world.jump(10);
    let idle = world.signal("idle", 3, Some(State::Idle));
    world.emit(idle).unwrap();
}

#[test]
fn what_waits_is_taken_back_and_told_once() {
    let mut world = two_wait();
    let row = cancel(&mut world, 1, &PERSON).unwrap();
    assert_eq!((row.phase, row.completed_at), (Phase::Cancelled, Some(world.now.wall)));
    assert_eq!(
        (row.cancelled_by.as_ref(), problem(&row)),
        (Some(&PERSON), Some(ActionProblem::Cancelled))
    );
    let before = world.journal.len();
    assert_eq!(cancel(&mut world, 1, &PERSON).unwrap(), row, "again it is the same end");
    let asked = request(&world, 1, 3, prompt(true));
    assert_eq!(ask(&mut world, &asked).unwrap(), row, "and its own request has it too");
    assert_eq!(world.journal.len(), before, "nothing more is told");
    let recorded = world.journal.iter().filter(|event| matches!(event, Event::EventRecorded(it) if it.signal.action_id.as_deref() == Some("ac-1")));
    assert_eq!(recorded.count(), 1, "the runtime's history has it");
    rests(&mut world);
    assert_eq!(released(&world), ["ac-2"]);
}

#[test]
fn it_stays_taken_back_over_a_restart() {
    let mut world = two_wait();
    cancel(&mut world, 1, &PERSON).unwrap();
    world.engine = Engine::restore(*world.engine.settings(), world.engine.tables(), world.now);
    assert_eq!(cancel(&mut world, 1, &PERSON).unwrap().phase, Phase::Cancelled);
    rests(&mut world);
    assert_eq!(released(&world), ["ac-2"]);
}

#[test]
fn what_is_on_its_way_or_over_is_too_late_and_stays_as_it_is() {
    let mut world = two_wait();
    rests(&mut world);
    let late = |phase| Err(Refusal::TooLate { action: ActionId::new("ac-1"), phase });
    let before = world.journal.len();
    assert_eq!(cancel(&mut world, 1, &PERSON), late(Phase::Pending));
    assert_eq!(world.journal.len(), before);
    report(&mut world, 1, Outcome::Unanswered { message: "silence".to_owned() });
    assert_eq!(cancel(&mut world, 1, &PERSON), late(Phase::Unknown), "it may have been done");
    report(&mut world, 1, Outcome::Done(Proof::Trace));
    assert_eq!(cancel(&mut world, 1, &PERSON), late(Phase::Completed));
    assert_eq!(told(&world, 1).phase, Phase::Completed);
    let none = cancel(&mut world, 9, &PERSON);
    assert_eq!(none, Err(Refusal::ActionUnknown(ActionId::new("ac-9"))));
}

#[test]
fn what_was_tried_and_did_nothing_can_still_be_taken_back_and_lets_the_next_one_on() {
    let mut world = two_wait();
    rests(&mut world);
    report(&mut world, 1, Outcome::Busy { message: "a draft".to_owned() });
    assert_eq!(released(&world), ["ac-1"]);
    assert_eq!(cancel(&mut world, 1, &PERSON).unwrap().phase, Phase::Cancelled);
    assert_eq!(released(&world), ["ac-1", "ac-2"]);
    world.pass(limits::RETRY_MS_MAX);
    assert_eq!(released(&world), ["ac-1", "ac-2"]);
}

#[test]
fn what_waits_for_another_one_in_its_pane_is_taken_back_as_well() {
    let mut world = agent_world(&[State::Idle]);
    for number in [1, 2] {
        let asked = request(&world, number, 1, send("x"));
        ask(&mut world, &asked).unwrap();
    }
    assert_eq!(released(&world), ["ac-1"]);
    assert_eq!(cancel(&mut world, 2, &PERSON).unwrap().phase, Phase::Cancelled);
    report(&mut world, 1, Outcome::Done(Proof::Answer));
    assert_eq!(released(&world), ["ac-1"]);
}

#[test]
fn s_10_agents_take_back_what_agents_asked_for_and_a_person_everything() {
    let (name, token) = ("laptop".to_owned(), TokenId::new("tk-1"));
    let people = [PERSON, Actor::Token { name, token, uid: None, pid: None, below: None }];
    for setting in FromAgents::ALL.iter().copied() {
        for by in below_an_agent().iter().chain(&people) {
            for asker in [&PERSON, &below_an_agent()[0]] {
                let mut world = agent_world(&[State::Running]);
                let asked = request(&world, 1, 3, prompt(true));
                // It was asked for while agents still might.
                ask(&mut world, &ActRequest { by: asker.clone(), ..asked }).unwrap();
                let settings = *world.engine.settings();
                world.engine.configure(Settings { from_agents: setting, ..settings });
                let expected = people.contains(by)
                    || setting == FromAgents::All
                    || setting == FromAgents::Agents && *asker != PERSON;
                let taken = cancel(&mut world, 1, by);
                assert_eq!(taken.is_ok(), expected, "{by} {setting} {asker}");
                let forbidden = matches!(taken, Err(Refusal::Forbidden(_)));
                assert_eq!(forbidden, !expected, "{taken:?}");
            }
        }
    }
}

#[test]
fn s_10_no_agent_takes_back_an_answer_whatever_the_settings_say() {
    let mut world = agent_world(&[State::Idle]);
    world.engine.configure(Settings { from_agents: FromAgents::All, ..*world.engine.settings() });
    let first = request(&world, 1, 3, Act::KillByKey);
    ask(&mut world, &first).unwrap();
    let approval = ApprovalId::new("ap-1");
    let answer = Act::Respond {
        approval,
        fingerprint: "f".to_owned(),
        choice: Choice::Deny,
        option: None,
        picks: Vec::new(),
        message: None,
    };
    let second = request(&world, 2, 3, answer);
    drop(ask(&mut world, &second));
    let refused = cancel(&mut world, 2, &below_an_agent()[0]);
    assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{refused:?}");
}
