//! Tokens and denials as the engine keeps them.

use engine::Engine;
use engine::access::{Denial, TokenRow};
use engine::event::Event;
use engine::ids::TokenId;
use engine::input::{Input, Refusal, Request};
use engine::limits;
use engine::time::WallMs;
use engine::words::TokenScope;

use crate::world::World;

fn created(number: usize, name: &str) -> Input {
    Input::Asked(Request::CreateToken(Box::new(TokenRow {
        token: TokenId::new(format!("tk-{number}")),
        name: name.to_owned(),
        scope: TokenScope::Act,
        hash: "0".repeat(64),
        created_at: WallMs(0),
        expires_at: WallMs(i64::MAX),
        last_used_at: None,
        revoked_at: None,
    })))
}

fn revoked(named: &str) -> Input {
    Input::Asked(Request::RevokeToken { named: named.to_owned() })
}

fn used(number: usize) -> Input {
    Input::Asked(Request::UseToken(TokenId::new(format!("tk-{number}"))))
}

fn names(world: &World) -> Vec<&str> {
    world.engine.tokens().map(|row| row.name.as_str()).collect()
}

#[test]
fn a_token_is_there_until_it_is_revoked_by_its_name_or_its_id() {
    let mut world = World::new();
    world.feed(&created(1, "one")).unwrap();
    world.feed(&created(2, "two")).unwrap();
    assert_eq!(world.feed(&created(3, "two")), Err(Refusal::TokenExists("two".to_owned())));
    assert_eq!(names(&world), ["one", "two"]);
    let (settings, tables) = (*world.engine.settings(), world.engine.tables());
    world.engine = Engine::restore(settings, tables, world.now);
    assert_eq!(names(&world), ["one", "two"], "over a restart too");
    world.feed(&revoked("tk-1")).unwrap();
    world.feed(&revoked("two")).unwrap();
    assert_eq!(world.feed(&revoked("two")), Err(Refusal::TokenUnknown("two".to_owned())));
    assert!(names(&world).is_empty());
    let ends = world.journal.iter().filter(
        |it| matches!(it, Event::TokenChanged(row) if row.revoked_at == Some(world.now.wall)),
    );
    assert_eq!(ends.count(), 2, "when it was taken back is in the journal");
    world.feed(&created(4, "two")).unwrap();
}

#[test]
fn there_is_a_bound_to_how_many_there_are() {
    let mut world = World::new();
    for number in 0..limits::TOKENS_MAX {
        world.feed(&created(number, &format!("n{number}"))).unwrap();
    }
    assert_eq!(world.feed(&created(999, "more")), Err(Refusal::TooManyTokens));
    world.feed(&revoked("n7")).unwrap();
    world.feed(&created(999, "more")).unwrap();
}

#[test]
fn a_use_is_noted_once_in_a_while_and_not_after_the_end() {
    let mut world = World::new();
    world.feed(&created(1, "one")).unwrap();
    let noted = |world: &World| {
        world.journal.iter().filter(|it| matches!(it, Event::TokenChanged(_))).count() - 1
    };
    for _ in 0..3 {
        world.feed(&used(1)).unwrap();
    }
    assert_eq!(noted(&world), 1);
    world.pass(limits::TOKEN_USE_MS - 1);
    world.feed(&used(1)).unwrap();
    assert_eq!(noted(&world), 1);
    world.pass(1);
    world.feed(&used(1)).unwrap();
    assert_eq!(noted(&world), 2);
    world.feed(&revoked("one")).unwrap();
    world.pass(limits::TOKEN_USE_MS);
    world.feed(&used(1)).unwrap();
    assert_eq!(noted(&world), 3, "the last is the end itself");
}

#[test]
fn a_denial_is_in_the_journal_and_changes_nothing() {
    let mut world = World::new();
    world.feed(&created(1, "one")).unwrap();
    let before = world.engine.tables();
    let (operation, code) = ("respond".to_owned(), "E_FORBIDDEN".to_owned());
    let denial = Denial { operation, code, runtime: None, unrecorded: 3 };
    world.feed(&Input::Asked(Request::Deny(denial.clone()))).unwrap();
    assert_eq!(world.journal.last(), Some(&Event::AccessDenied(denial)));
    assert_eq!(world.engine.tables(), before);
}
