//! Approvals: they open with whatever asks, are answered once, and end with whatever shows that
//! nobody is asked any more.

use engine::action::{Act, ActRequest, ActionRow, Failure, Guards, Outcome};
use engine::approval::{ApprovalRow, Asked, Asking};
use engine::engine::Engine;
use engine::event::{Actor, Event};
use engine::ids::{ActionId, AgentType, SnapshotId};
use engine::input::{Input, Observation, Reading, Reply, Request};
use engine::limits;
use engine::pane::AgentProcess;
use engine::state::Claim;
use engine::words::{
    ActionProblem, ApprovalKind, ApprovalState, Choice, Confidence, Detail, Phase, Proof, Source,
    State,
};
use proptest::prelude::*;

use crate::world::{World, shell};

fn asking(request: &str) -> Asking {
    Asking::new(ApprovalKind::Permission, "Bash", request)
        .offering(Choice::Approve, "Yes")
        .offering(Choice::Deny, "No")
}

struct Scene {
    world: World,
    said: u32,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new();
        world.scan(&[shell(1)]);
        Self { world, said: 0 }
    }

    /// The agent's hook says this.
    fn hook(&mut self, state: State, reason: &str, asked: Option<Asked>) {
        self.said += 1;
        self.world.jump(1);
        let mut signal = self.world.signal(&format!("k{}", self.said), 1, Some(state));
        let confidence = Confidence::High;
        signal.claim = Some(Claim { state, reason: reason.to_owned(), confidence });
        signal.asked = asked;
        self.world.emit(signal).unwrap();
    }

    fn ask(&mut self, asking: &Asking) -> ApprovalRow {
        let asked = Asked::For(Box::new(asking.clone()));
        self.hook(State::WaitingApproval, "approval_requested", Some(asked));
        let told = self.world.journal.iter().rev().find_map(|event| match event {
            Event::ApprovalChanged(row) if row.asking == *asking => Some((**row).clone()),
            _ => None,
        });
        told.expect("the journal tells of it")
    }

    fn now(&self, asked: &ApprovalRow) -> ApprovalRow {
        let told = self.world.journal.iter().rev().find_map(|event| match event {
            Event::ApprovalChanged(row) if row.approval == asked.approval => Some((**row).clone()),
            _ => None,
        });
        told.expect("the journal tells of it")
    }

    fn answer(&mut self, asked: &ApprovalRow, number: u32, choice: Choice) -> ActionRow {
        let act = Act::Respond {
            approval: asked.approval.clone(),
            fingerprint: asked.fingerprint.clone(),
            choice,
            option: None,
            picks: Vec::new(),
            message: None,
        };
        let request = ActRequest {
            action: ActionId::new(format!("ac-{number}")),
            snapshot: SnapshotId::new(format!("sn-{number}")),
            nonce: format!("{number:016x}"),
            request_ref: format!("rq-{number}"),
            fingerprint: format!("{act:?}"),
            by: Actor::Client { uid: number, pid: None },
            runtime: asked.runtime.clone(),
            act,
            guards: Guards::default(),
        };
        match self.world.feed(&Input::Asked(Request::Act(Box::new(request)))).unwrap() {
            Reply::Action(row) => *row,
            other => panic!("{other:?}"),
        }
    }

    fn report(&mut self, number: u32, outcome: Outcome) {
        let action = ActionId::new(format!("ac-{number}"));
        self.world.feed(&Input::Acted { action, outcome, steps: Vec::new() }).unwrap();
    }
}

fn problem(row: &ActionRow) -> Option<ActionProblem> {
    row.failure.as_ref().map(|failure| failure.problem)
}

#[test]
fn f_22_the_first_answer_wins_and_the_second_is_refused() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    assert_eq!(asked.state, ApprovalState::Waiting);
    assert_eq!(it.answer(&asked, 1, Choice::Approve).phase, Phase::Pending);
    assert_eq!(it.now(&asked).state, ApprovalState::Answering);
    let second = it.answer(&asked, 2, Choice::Deny);
    assert_eq!(
        (second.phase, problem(&second)),
        (Phase::Refused, Some(ActionProblem::ApprovalAnswered))
    );
    it.report(1, Outcome::Done(Proof::Reply));
    let ended = it.now(&asked);
    assert_eq!((ended.state, ended.outcome), (ApprovalState::Answered, Some(Choice::Approve)));
    assert_eq!(ended.answer.unwrap().by, Actor::Client { uid: 1, pid: None });
    let third = it.answer(&asked, 3, Choice::Deny);
    assert_eq!(problem(&third), Some(ActionProblem::ApprovalClosed));
}

#[test]
fn what_was_answered_in_the_terminal_is_not_told_as_replaced_by_what_is_asked_next() {
    let mut it = Scene::new();
    let one = it.ask(&asking("rm a"));
    it.hook(State::Running, "active", None);
    assert_eq!(it.now(&one).state, ApprovalState::AnsweredInTerminal);
    let two = it.ask(&asking("rm b"));
    assert_eq!(it.now(&one).state, ApprovalState::AnsweredInTerminal, "nobody asks it again");
    assert_eq!(it.now(&two).state, ApprovalState::Waiting);
}

#[test]
fn what_waited_as_long_as_it_may_is_answered_no_more_though_nobody_took_note_yet() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    it.world.jump(limits::APPROVAL_TTL_MS);
    let late = it.answer(&asked, 1, Choice::Approve);
    assert_eq!((late.phase, problem(&late)), (Phase::Refused, Some(ActionProblem::ApprovalClosed)));
}

/// Claude's status is busy for a moment when somebody presses its no.
#[test]
fn a_no_in_the_terminal_that_looks_busy_first_is_not_taken_for_a_yes() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    it.answer(&asked, 1, Choice::Approve);
    it.hook(State::Running, "active", None);
    it.hook(State::Idle, "interrupted", None);
    it.report(1, Outcome::Done(Proof::Reply));
    let ended = it.now(&asked);
    assert_eq!(
        (ended.state, ended.outcome),
        (ApprovalState::AnsweredInTerminal, Some(Choice::Deny))
    );
}

#[test]
fn what_was_done_and_interrupted_then_was_permitted() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    it.answer(&asked, 1, Choice::Approve);
    let deed = asked.asking.deed();
    it.hook(State::Running, "active", Some(Asked::Done { deed }));
    it.hook(State::Idle, "interrupted", None);
    it.report(1, Outcome::Done(Proof::Reply));
    let ended = it.now(&asked);
    assert_eq!((ended.state, ended.outcome), (ApprovalState::Answered, Some(Choice::Approve)));
}

#[test]
fn a_dialog_that_was_seen_before_its_hook_told_of_it_adds_what_only_it_offers() {
    let mut it = Scene::new();
    it.hook(State::Idle, "idle", None);
    let mut seen = it.world.signal("seen", 1, Some(State::WaitingApproval));
    seen.source = Source::Screen;
    let (state, reason) = (State::WaitingApproval, "approval_requested".to_owned());
    seen.claim = Some(Claim { state, reason, confidence: Confidence::Medium });
    let dialog = asking("rm a").offering(Choice::ApproveAlways, "Yes, and always");
    seen.asked = Some(Asked::For(Box::new(dialog)));
    it.world.emit(seen).unwrap();
    assert_eq!(it.world.engine.approvals().count(), 0, "the screen alone is not believed here");
    let told = Asked::For(Box::new(asking("rm a")));
    it.hook(State::WaitingApproval, "approval_requested", Some(told));
    let open: Vec<_> = it.world.engine.approvals().collect();
    let [asked] = open.as_slice() else { panic!("{open:#?}") };
    assert_eq!(asked.source, Source::Hook);
    assert!(
        asked.asking.misfit(Choice::ApproveAlways, None, &[]).is_none(),
        "{:?}",
        asked.asking.offers
    );
}

#[test]
fn s_12_a_dialog_that_is_seen_before_its_hook_is_heard_keeps_no_older_request() {
    let mut it = Scene::new();
    let mut claude = shell(1);
    let agent = AgentType::new("claude");
    claude.agent = Some(AgentProcess { agent, process: claude.process });
    it.world.scan(&[claude.clone()]);
    let shows = |it: &mut Scene, request: &str| {
        let claim = Claim {
            state: State::WaitingApproval,
            reason: "approval_requested".to_owned(),
            confidence: Confidence::High,
        };
        let dialog = asking(&format!("Bash command\n {request}\nDo you want to proceed?"));
        let reading = Reading {
            source: Source::Screen,
            claim: Some(claim),
            details: [(Detail::Ask, request.to_owned())].into(),
            asking: Some(Box::new(dialog)),
            written: None,
        };
        let (pane, agent, readings) = (claude.pane, claude.process, vec![reading]);
        it.world.jump(1);
        it.world.observe(Observation::Read { pane, agent, readings });
    };
    let one = it.ask(&asking("touch one && touch more"));
    shows(&mut it, "touch one && touch\n more");
    shows(&mut it, "touch two");
    it.ask(&asking("touch two"));
    assert_eq!(it.now(&one).state, ApprovalState::Replaced);
}

#[test]
fn an_answer_that_did_not_arrive_leaves_the_question_open() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    it.answer(&asked, 1, Choice::Approve);
    it.report(1, Outcome::Refused(Failure::new(ActionProblem::ApprovalChanged, "other")));
    let open = it.now(&asked);
    assert_eq!((open.state, open.answer), (ApprovalState::Waiting, None));
    it.answer(&asked, 2, Choice::Deny);
    it.report(2, Outcome::Done(Proof::Answer));
    assert_eq!(it.now(&asked).outcome, Some(Choice::Deny));
}

#[test]
fn answered_in_the_terminal_it_tells_what_was_said_as_soon_as_that_is_known() {
    let mut it = Scene::new();
    let yes = it.ask(&asking("rm a"));
    it.hook(State::Running, "active", None);
    let over = it.now(&yes);
    assert_eq!((over.state, over.outcome), (ApprovalState::AnsweredInTerminal, None));
    let deed = yes.asking.deed();
    it.hook(State::Running, "active", Some(Asked::Done { deed }));
    assert_eq!(it.now(&yes).outcome, Some(Choice::Approve));
    let no = it.ask(&asking("rm b"));
    it.hook(State::Idle, "interrupted", None);
    assert_eq!(it.now(&no).outcome, Some(Choice::Deny));
}

#[test]
fn a_moment_of_another_state_is_no_answer() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    it.hook(State::Running, "active", None);
    it.world.jump(100);
    it.hook(State::WaitingApproval, "approval_requested", None);
    assert_eq!(it.now(&asked).state, ApprovalState::Waiting);
}

#[test]
fn what_the_terminal_said_first_is_not_taken_for_the_answer() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    it.answer(&asked, 1, Choice::Deny);
    let deed = asked.asking.deed();
    it.hook(State::Running, "active", Some(Asked::Done { deed }));
    it.report(1, Outcome::Done(Proof::Reply));
    let ended = it.now(&asked);
    assert_eq!(
        (ended.state, ended.outcome),
        (ApprovalState::AnsweredInTerminal, Some(Choice::Approve))
    );
}

#[test]
fn s_12_another_request_replaces_it_unless_another_thread_asks() {
    let mut it = Scene::new();
    let old = it.ask(&asking("rm a"));
    let beside = it.ask(&Asking { asker: Some("sub".to_owned()), ..asking("rm b") });
    assert_eq!(it.now(&old).state, ApprovalState::Waiting);
    let new = it.ask(&asking("rm c"));
    assert_eq!(it.now(&old).state, ApprovalState::Replaced);
    assert_eq!([it.now(&beside).state, it.now(&new).state], [ApprovalState::Waiting; 2]);
    let late = it.answer(&old, 1, Choice::Approve);
    assert_eq!(problem(&late), Some(ActionProblem::ApprovalClosed));
    let swapped = ApprovalRow { approval: new.approval.clone(), ..old };
    assert_eq!(
        problem(&it.answer(&swapped, 2, Choice::Approve)),
        Some(ActionProblem::ApprovalChanged)
    );
    let unoffered = it.answer(&new, 3, Choice::ApproveAlways);
    assert_eq!(problem(&unoffered), Some(ActionProblem::ChoiceNotOffered));
}

#[test]
fn s_12_it_expires_and_it_goes_with_its_runtime() {
    let mut it = Scene::new();
    let asked = it.ask(&asking("rm a"));
    it.world.pass(limits::APPROVAL_TTL_MS - 1_000);
    assert_eq!(it.now(&asked).state, ApprovalState::Waiting, "a stale state closes nothing");
    it.world.pass(2_000);
    assert_eq!(it.now(&asked).state, ApprovalState::Expired);
    assert_eq!(
        problem(&it.answer(&asked, 1, Choice::Approve)),
        Some(ActionProblem::ApprovalClosed)
    );
    let other = it.ask(&asking("rm b"));
    it.world.scan(&[]);
    assert_eq!(it.now(&other).state, ApprovalState::Gone);
    assert_eq!(it.world.engine.approvals().count(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    Say(u8),
    Done(u8),
    Answer(bool),
    Report(u8),
    Pass(u16),
    Restart,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_u8).prop_map(Step::Ask),
        2 => (0..4_u8).prop_map(Step::Say),
        1 => (0..4_u8).prop_map(Step::Done),
        3 => any::<bool>().prop_map(Step::Answer),
        3 => (0..4_u8).prop_map(Step::Report),
        1 => any::<u16>().prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => Just(Step::End),
    ]
}

fn take(it: &mut Scene, step: &Step, number: u32) {
    let live = it.world.engine.approvals().find(|row| row.is_live()).cloned();
    match step {
        Step::Ask(which) => {
            let asker = (*which == 3).then(|| "sub".to_owned());
            it.ask(&Asking { asker, ..asking(&format!("rm {which}")) });
        }
        Step::Say(which) => {
            let said = [
                (State::Running, "active"),
                (State::Idle, "interrupted"),
                (State::Completed, "task_completed"),
                (State::WaitingApproval, "approval_requested"),
            ];
            let (state, reason) = said[usize::from(*which)];
            it.hook(state, reason, None);
        }
        Step::Done(which) => {
            let deed = asking(&format!("rm {which}")).deed();
            it.hook(State::Running, "active", Some(Asked::Done { deed }));
        }
        Step::Answer(yes) => {
            if let Some(asked) = live {
                it.answer(&asked, number, if *yes { Choice::Approve } else { Choice::Deny });
            }
        }
        Step::Report(which) => {
            let pending = it.world.engine.actions().find(|row| row.is_issued()).cloned();
            let Some(pending) = pending else { return };
            let failure = Failure::new(ActionProblem::ApprovalChanged, "other");
            let message = "nobody knows".to_owned();
            let outcome = match which {
                0 => Outcome::Done(Proof::Reply),
                1 => Outcome::Refused(failure),
                2 => Outcome::NotConfirmed { proof: Proof::Answer, message },
                _ => Outcome::Unknown { message },
            };
            let action = pending.action;
            it.world.feed(&Input::Acted { action, outcome, steps: Vec::new() }).unwrap();
        }
        Step::Pass(seconds) => it.world.pass(i64::from(*seconds) * 1_000),
        Step::Restart => {
            let engine = &it.world.engine;
            let restored = Engine::restore(*engine.settings(), engine.tables(), it.world.now);
            it.world.engine = restored;
        }
        Step::End => {
            it.world.scan(&[]);
            it.world.scan(&[shell(1)]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn i3_whatever_happens_an_approval_is_answered_at_most_once_and_its_end_is_final(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut it = Scene::new();
        for (number, step) in steps.iter().enumerate() {
            take(&mut it, step, u32::try_from(number).unwrap());
            let answering: Vec<_> = it
                .world
                .engine
                .approvals()
                .filter(|row| row.state == ApprovalState::Answering)
                .collect();
            for row in answering {
                prop_assert!(row.answer.is_some() && row.closed_at.is_none());
            }
        }
        let mut settled = std::collections::BTreeSet::new();
        let mut answered = std::collections::BTreeMap::new();
        for event in &it.world.journal {
            let Event::ApprovalChanged(row) = event else { continue };
            prop_assert!(!settled.contains(&row.approval), "{row:?} changed after its end");
            prop_assert_eq!(row.is_live(), row.closed_at.is_none());
            if row.settled {
                settled.insert(row.approval.clone());
            }
            if row.state == ApprovalState::Answered {
                let action = row.answer.as_ref().map(|answer| answer.action.clone());
                let before = answered.insert(row.approval.clone(), action.clone());
                prop_assert!(before.is_none_or(|before| before == action));
            }
        }
    }
}

fn hidden(request: &str) -> Asking {
    Asking { hidden: true, ..asking(request) }
}

impl Scene {
    fn held(&mut self, asked: &ApprovalRow, waits: bool) {
        let approval = asked.approval.clone();
        self.world.feed(&Input::Held { approval, waits }).unwrap();
    }

    fn states(&self, asked: &[&ApprovalRow]) -> Vec<ApprovalState> {
        asked.iter().map(|row| self.now(row).state).collect()
    }
}

#[test]
fn requests_whose_dialogs_are_held_back_wait_side_by_side_each_for_its_own_answer() {
    use ApprovalState::{Answered, AnsweredInTerminal, Answering, Waiting};
    let mut it = Scene::new();
    let one = it.ask(&hidden("touch one"));
    // The second comes before it is known that the first one's hook waits.
    let two = it.ask(&hidden("touch two"));
    it.held(&one, true);
    it.held(&two, true);
    it.world.pass(limits::HOOK_ARRIVAL_MS + 1);
    let three = it.ask(&hidden("touch three"));
    it.held(&three, true);
    assert_eq!(it.states(&[&one, &two, &three]), [Waiting, Waiting, Waiting]);
    // One is answered, and the agent goes on with it.
    it.answer(&two, 1, Choice::Approve);
    it.hook(State::Running, "active", None);
    assert_eq!(it.states(&[&one, &two, &three]), [Waiting, Answering, Waiting]);
    it.report(1, Outcome::Done(Proof::Reply));
    it.held(&two, false);
    assert_eq!(it.states(&[&one, &two, &three]), [Waiting, Answered, Waiting]);
    assert_eq!(it.answer(&one, 2, Choice::Deny).phase, Phase::Pending);
    it.report(2, Outcome::Done(Proof::Reply));
    it.held(&one, false);
    assert_eq!(it.now(&one).outcome, Some(Choice::Deny));
    assert_eq!(it.now(&two).outcome, Some(Choice::Approve));
    // The last one's hook leaves while the agent works: nobody is asked any more.
    it.held(&three, false);
    assert_eq!(it.states(&[&one, &two, &three]), [Answered, Answered, AnsweredInTerminal]);
}

#[test]
fn once_its_hook_has_left_a_request_is_replaced_like_any_other() {
    let mut it = Scene::new();
    let one = it.ask(&hidden("touch one"));
    it.held(&one, true);
    it.held(&one, false);
    assert_eq!(it.now(&one).state, ApprovalState::Waiting, "its dialog is what remains");
    it.world.pass(limits::HOOK_ARRIVAL_MS + 1);
    it.ask(&hidden("touch two"));
    assert_eq!(it.now(&one).state, ApprovalState::Replaced);
}

#[test]
fn after_a_restart_no_hook_is_known_to_wait() {
    let mut it = Scene::new();
    let one = it.ask(&hidden("touch one"));
    it.held(&one, true);
    it.world.pass(limits::HOOK_ARRIVAL_MS + 1);
    let (settings, tables) = (*it.world.engine.settings(), it.world.engine.tables());
    it.world.engine = Engine::restore(settings, tables, it.world.now);
    it.hook(State::Running, "active", None);
    assert_eq!(it.now(&one).state, ApprovalState::AnsweredInTerminal);
}
