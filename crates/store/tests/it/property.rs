//! Whatever happens, three things are the same: what the engine holds, what the tables give back,
//! and what the journal comes to.

use engine::Engine;
use engine::settings::Settings;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use store::verify;

use crate::moves::{Move, Play, history};
use crate::world::{Fold, assert_same, count, stored};

/// Plays a history and checks after each step that costs something, and all of it at the end.
fn check(moves: &[Move]) {
    let (mut play, mut fold) = (Play::new(), Fold::new());
    fold.take_all(&play);
    for it in moves {
        for outcome in play.play(it) {
            fold.take(&outcome);
        }
        assert_eq!(play.ledger.engine().check(), Ok(()), "after {it:?}");
        if matches!(it, Move::Reopen) {
            assert_same(&stored(&play.ledger.engine().tables()), &fold.tables());
        }
    }
    play.reopen();
    assert_same(&stored(&play.ledger.engine().tables()), &fold.tables());
    let report = verify(&play.world.path()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.last, play.ledger.as_of());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: count("QD_STORE_CASES", 48),
        max_shrink_iters: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn load_equals_fold_equals_memory(moves in history(60)) {
        check(&moves);
    }
}

#[test]
fn the_journal_read_from_its_beginning_comes_to_the_tables() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let moves = history(400).new_tree(&mut runner).unwrap().current();
    let mut play = Play::new();
    for it in moves.iter().filter(|it| !matches!(it, Move::Retain(_))) {
        play.play(it);
    }
    play.reopen();
    let journal = play.ledger.journal().unwrap();
    let mut engine = Engine::new(Settings::default());
    let mut after = 0;
    loop {
        let changes = journal.changes_after(after, 7).unwrap();
        let Some(last) = changes.last() else { break };
        after = last.seq;
        for change in &changes {
            engine.apply(&change.event);
        }
    }
    assert_eq!(after, play.ledger.as_of());
    assert_same(&stored(&engine.tables()), &stored(&play.ledger.engine().tables()));
}
