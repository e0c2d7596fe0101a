//! What clients ask for: adding, removing and reconnecting targets; acts are in [`crate::acting`]
//! and taken back in [`crate::cancelling`], tokens in [`crate::access`].

use crate::engine::Engine;
use crate::event::Event;
use crate::ids::TargetId;
use crate::input::{Decision, Effect, Refusal, Reply, Request};
use crate::limits;
use crate::observe::removed;
use crate::past::Past;
use crate::target::{TargetRow, Trouble};
use crate::time::Now;
use crate::words::{EndReason, Health, TargetKind};

impl Engine {
    pub(crate) fn ask(&self, now: Now, request: &Request, past: &dyn Past) -> Decision {
        match request {
            Request::AddTarget { target, name, kind, connection_ref } => {
                self.add_target(now, target, name, *kind, connection_ref)
            }
            Request::RemoveTarget { name } => self.remove_target(name),
            Request::ConnectTarget { name } => self.connect_target(now, name),
            Request::DisconnectTarget { name } => self.disconnect_target(now, name, past),
            Request::Act(request) => self.act(now, request, past),
            Request::Cancel { action, by } => self.cancel(now, action, by, past),
            Request::SetAdapter(wanted) => self.set_adapter(now, wanted),
            Request::CreateToken(wanted) => self.create_token(wanted),
            Request::RevokeToken { named } => self.revoke_token(now, named),
            Request::UseToken(token) => self.use_token(now, token),
            Request::Deny(denial) => Decision {
                events: vec![Event::AccessDenied(denial.clone())],
                ..Decision::default()
            },
        }
    }

    fn add_target(
        &self,
        now: Now,
        target: &TargetId,
        name: &str,
        kind: TargetKind,
        connection_ref: &str,
    ) -> Decision {
        if self.targets.len() >= limits::TARGETS_MAX {
            return Decision::refuse(Refusal::TooManyTargets);
        }
        if self.target_named(name).is_some() || self.targets.contains_key(target) {
            return Decision::refuse(Refusal::TargetExists(name.to_owned()));
        }
        let twin = self.targets().find(|it| it.kind == kind && it.connection_ref == connection_ref);
        if let Some(twin) = twin {
            let (name, other) = (name.to_owned(), twin.name.clone());
            return Decision::refuse(Refusal::SameServer { name, other });
        }
        let mut row = TargetRow {
            target: target.clone(),
            name: name.to_owned(),
            kind,
            connection_ref: connection_ref.to_owned(),
            is_default: self.targets.is_empty(),
            health: Health::Ok,
            trouble: None,
            server: None,
            last_seen_at: None,
            updated_at: now.wall,
        };
        if row.is_elsewhere() {
            row.health = Health::Degraded;
            row.trouble = Some(Trouble::unseen("it was added"));
        }
        Decision {
            events: vec![Event::TargetChanged(row.clone())],
            effects: vec![Effect::Observe(Box::new(row.clone()))],
            reply: Ok(Reply::Target(Box::new(row))),
            ..Decision::default()
        }
    }

    fn remove_target(&self, name: &str) -> Decision {
        let Some(row) = self.target_named(name) else {
            return Decision::refuse(Refusal::TargetUnknown(name.to_owned()));
        };
        let target = row.target.clone();
        let mut events: Vec<Event> = self
            .panes_of(&target)
            .map(|memory| removed(&memory.row, EndReason::TargetRemoved))
            .collect();
        events.extend(self.sessions_of(&target));
        events.push(Event::TargetRemoved { target: target.clone(), name: name.to_owned() });
        Decision {
            then: self.offers(&target, Some(now_after_everything())),
            events,
            effects: vec![Effect::Forget(target)],
            ..Decision::default()
        }
    }

    fn sessions_of(&self, target: &TargetId) -> impl Iterator<Item = Event> {
        self.sessions()
            .filter(move |row| row.target == *target)
            .map(|row| Event::SessionRemoved { target: row.target.clone(), session: row.session })
    }

    fn connect_target(&self, now: Now, name: &str) -> Decision {
        let Some(row) = self.target_named(name) else {
            return Decision::refuse(Refusal::TargetUnknown(name.to_owned()));
        };
        if !row.is_disconnected() {
            return Decision {
                effects: vec![Effect::Connect(row.target.clone())],
                reply: Ok(Reply::Target(Box::new(row.clone()))),
                ..Decision::default()
            };
        }
        // It stays down: of its panes nothing is known before somebody has looked.
        let trouble = row.is_elsewhere().then(|| Trouble::unseen("it was connected again"));
        let row = TargetRow { trouble, updated_at: now.wall, ..row.clone() };
        let effects =
            vec![Effect::Observe(Box::new(row.clone())), Effect::Connect(row.target.clone())];
        Decision {
            events: vec![Event::TargetChanged(row.clone())],
            effects,
            reply: Ok(Reply::Target(Box::new(row))),
            ..Decision::default()
        }
    }

    /// What the daemon before this one knew to be fine may hang by now, and the first look at it may
    /// be long in coming. Panes keep their states, for a degraded target does.
    pub(crate) fn started(&self, now: Now) -> Decision {
        let unseen = |row: &TargetRow| TargetRow {
            health: Health::Degraded,
            trouble: Some(Trouble::unseen("the daemon started")),
            updated_at: now.wall,
            ..row.clone()
        };
        let fine = self.targets().filter(|row| row.is_elsewhere() && row.health == Health::Ok);
        let events = fine.map(|row| Event::TargetChanged(unseen(row))).collect();
        Decision { events, ..Decision::default() }
    }

    /// Nothing is learnt of it until it is connected again, so nothing of it is shown as true.
    fn disconnect_target(&self, now: Now, name: &str, past: &dyn Past) -> Decision {
        let Some(before) = self.target_named(name) else {
            return Decision::refuse(Refusal::TargetUnknown(name.to_owned()));
        };
        let mut decision = Decision::default();
        let mut row = before.clone();
        if !before.is_disconnected() {
            row.health = Health::Down;
            row.trouble = Some(Trouble::disconnected());
            row.updated_at = now.wall;
            decision.events.push(Event::TargetChanged(row.clone()));
            self.lose(now, &row.target, past, &mut decision);
            decision.effects.push(Effect::Leave(row.target.clone()));
        }
        decision.reply = Ok(Reply::Target(Box::new(row)));
        decision
    }
}

/// A removed target will never show what its waiting events are about: no event is newer.
fn now_after_everything() -> crate::time::MonoMs {
    crate::time::MonoMs(i64::MAX)
}
