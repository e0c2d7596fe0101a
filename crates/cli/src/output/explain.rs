//! Why a runtime is in its state, for people.

use api::agents::AgentDetails;
use api::explain::{Evidence, ExplainAnswer};
use api::words::State;

use crate::output::style;
use crate::output::table::{Column, Table};
use crate::output::text::Text;
use crate::output::time::{age, span};

/// The conclusion, the rule behind it, and the evidence as a table.
pub(crate) fn lines(answer: &ExplainAnswer, width: Option<usize>) -> Vec<Text> {
    let mut lines = vec![subject(answer), conclusion(answer)];
    lines.extend(last_known(answer));
    let rule = format!(" [{}]", answer.rule);
    lines.push(Text::plain(answer.rule.meaning()).then_styled(rule, style::QUIET));
    lines.push(freshness(answer));
    lines.extend(outlook(answer));
    let told = |agent| details(agent, waited_ms(answer, agent));
    lines.extend(answer.runtime.agent.iter().flat_map(told));
    let mut lines: Vec<Text> = lines.into_iter().flat_map(|line| line.wrapped(width)).collect();
    lines.push(Text::new());
    if answer.evidence.is_empty() {
        lines.push(Text::plain("There is no evidence yet."));
    } else {
        lines.extend(evidence(answer).lines(width));
    }
    lines
}

fn subject(answer: &ExplainAnswer) -> Text {
    let runtime = &answer.runtime;
    let session = runtime.pane.as_ref().map(|it| format!(", session {}", it.session_name));
    let agent = runtime.agent_type.as_deref().unwrap_or("no agent");
    let about = format!(
        " on {}{}: {agent}, runtime {}",
        runtime.target,
        session.unwrap_or_default(),
        runtime.runtime_id
    );
    let line = Text::styled(&runtime.pane_id, style::TITLE).then(about);
    match (&runtime.ended_at, &runtime.ended_reason) {
        (Some(at), reason) => {
            let reason = reason.map(|it| format!(" ({it})")).unwrap_or_default();
            line.then(format!(", ended {} ago{reason}", age(*at, answer.generated_at)))
        }
        (None, _) => line,
    }
}

fn conclusion(answer: &ExplainAnswer) -> Text {
    let runtime = &answer.runtime;
    let since = age(runtime.state_since, answer.generated_at);
    Text::styled(runtime.state.as_str(), style::of_state(runtime.state)).then(format!(
        " for {since}, reason {}, confidence {}",
        runtime.reason_code, runtime.confidence
    ))
}

fn last_known(answer: &ExplainAnswer) -> Option<Text> {
    let last = answer.runtime.last_known.as_ref()?;
    let said = format!("last known: {}, {} ago", last.state, span(last.age_ms));
    Some(Text::plain(said).then_styled(format!(" [{}]", last.reason_code), style::QUIET))
}

/// How old the observations are that everything else rests on.
fn freshness(answer: &ExplainAnswer) -> Text {
    let seen = span(answer.last_seen_age_ms);
    let activity = answer.last_activity_age_ms.map(span);
    let activity = activity.map_or_else(String::new, |age| format!(", last activity {age} ago"));
    Text::styled(format!("Seen {seen} ago{activity}; the target is "), style::QUIET)
        .then_styled(answer.target_health.as_str(), style::of_health(answer.target_health))
}

/// When time alone would change the state.
fn outlook(answer: &ExplainAnswer) -> Option<Text> {
    let at = answer.next_change_at?;
    // The future, counted from now, is the past, counted from then.
    let left = age(answer.generated_at, at);
    Some(Text::styled(format!("Without news it changes in {left}."), style::QUIET))
}

/// For how long it waited for somebody in all, where that is more than the wait that goes on.
fn waited_ms(answer: &ExplainAnswer, agent: &AgentDetails) -> u64 {
    let runtime = &answer.runtime;
    let waits = matches!(runtime.state, State::WaitingApproval | State::WaitingInput);
    let goes_on = if waits { runtime.state_since.age_ms(answer.generated_at) } else { 0 };
    if agent.waited_ms == 0 { 0 } else { agent.waited_ms + goes_on }
}

/// What the agent told of itself, line by line.
fn details(agent: &AgentDetails, waited_ms: u64) -> Vec<Text> {
    let tokens = |count: Option<u64>, kind| count.map(|count| format!("{count} {kind}"));
    let used = [
        tokens(agent.tokens_in, "tokens in"),
        tokens(agent.tokens_out, "tokens out"),
        agent.cost_microusd.map(cost),
    ];
    let used: Vec<String> = used.into_iter().flatten().collect();
    let tool = agent.tool.as_ref().map(|tool| match &agent.tool_input {
        Some(input) => format!("{tool}: {input}"),
        None => tool.clone(),
    });
    let told = [
        ("asks", agent.ask.clone()),
        ("tool", tool),
        ("said", agent.last_message.clone()),
        ("model", agent.model.clone()),
        ("session", agent.session_id.clone()),
        ("works in", agent.directory.clone()),
        ("branch", agent.branch.clone()),
        ("turns", (agent.turns > 0).then(|| agent.turns.to_string())),
        ("waited", (waited_ms > 0).then(|| format!("{} for somebody, in all", span(waited_ms)))),
        ("used", (!used.is_empty()).then(|| used.join(", "))),
    ];
    let line = |(name, text): (&str, Option<String>)| {
        Some(Text::styled(format!("{name}: "), style::QUIET).then(Text::plain(text?)))
    };
    told.into_iter().filter_map(line).collect()
}

/// Millionths of a dollar, as people read a sum.
fn cost(microusd: u64) -> String {
    let cents = microusd / 10_000;
    format!("${}.{:02}", cents / 100, cents % 100)
}

fn evidence(answer: &ExplainAnswer) -> Table {
    let mut table = Table::new([
        Column::fixed(""),
        Column::fixed("SOURCE"),
        Column::fixed("SAYS").down_to(7),
        Column::yielding("AGE", 1),
        Column::yielding("CONFIRMED", 5),
        Column::yielding("REASON", 3).down_to(8),
        Column::yielding("EVENT", 4).down_to(8),
        Column::yielding("ID", 6),
        Column::yielding("NOTE", 2).down_to(8),
    ]);
    for (place, item) in (0u32..).zip(&answer.evidence) {
        let says = item.says.map_or_else(
            || Text::styled("nothing", style::QUIET),
            |state| Text::styled(state.as_str(), style::of_state(state)),
        );
        table.row([
            Text::styled(if item.won { "*" } else { "" }, style::GOOD),
            Text::plain(item.source.as_str()),
            says,
            Text::plain(span(item.age_ms)),
            Text::plain(span(item.confirmed_age_ms)),
            Text::plain(&item.reason_code),
            Text::plain(item.event_type.as_deref().unwrap_or_default()),
            Text::plain(item.event_id.as_deref().unwrap_or_default()),
            note(item, answer.contradicted.contains(&place)),
        ]);
    }
    table
}

fn note(item: &Evidence, contradicts: bool) -> Text {
    if item.won {
        return Text::styled("decided", style::GOOD);
    }
    let why = Text::styled(item.why_not.map(|it| it.to_string()).unwrap_or_default(), style::QUIET);
    if contradicts { Text::styled("contradicts, ", style::WARNING).then(why) } else { why }
}

#[cfg(test)]
mod tests {
    use api::Timestamp;
    use api::explain::{DecisionRule, WhyNot};
    use api::words::{Confidence, EvidenceSource, Health, SchemaVersion, State};

    use super::*;
    use crate::output::fixtures::{self, shown};

    fn seen(source: EvidenceSource, says: Option<State>, age_ms: u64) -> Evidence {
        let at = Timestamp::from_millis(1_795_275_222_007 - i64::try_from(age_ms).unwrap());
        Evidence {
            source,
            event_id: None,
            event_type: Some("needs-approval".to_owned()),
            says,
            reason_code: "approval_requested".to_owned(),
            confidence: Confidence::High,
            effective_at: at,
            ingested_at: at,
            age_ms,
            confirmed_age_ms: age_ms / 3,
            fresh: age_ms < 30_000,
            won: false,
            why_not: Some(WhyNot::Outranked),
        }
    }

    #[test]
    fn the_evidence_is_shown_with_what_decided_and_what_did_not() {
        let hook = Evidence {
            won: true,
            why_not: None,
            ..seen(EvidenceSource::Hook, Some(State::WaitingApproval), 9_000)
        };
        let poller = Evidence {
            event_type: None,
            reason_code: "active".to_owned(),
            ..seen(EvidenceSource::Poller, Some(State::Running), 1_000)
        };
        let answer = ExplainAnswer {
            schema_version: SchemaVersion::V1,
            generated_at: Timestamp::from_millis(1_795_275_222_007),
            as_of: 42,
            runtime: fixtures::runtime(),
            warnings: Vec::new(),
            rule: DecisionRule::NewestDeterministicClaim,
            target_health: Health::Ok,
            last_seen_age_ms: 1_200,
            last_activity_age_ms: Some(4_000),
            next_change_at: Some(Timestamp::from_millis(1_795_275_243_007)),
            evidence: vec![hook, poller, seen(EvidenceSource::Notify, None, 90_000)],
            contradicted: vec![1],
        };
        insta::assert_snapshot!(shown(&lines(&answer, Some(100))), @r"
        %4 on local, session work: claude, runtime 3f9a0c5577d1e2b4
        waiting_approval for 9s, reason approval_requested, confidence high
        The newest fresh word of a source that knows for certain wins. [newest_deterministic_claim]
        Seen 1s ago, last activity 4s ago; the target is ok
        Without news it changes in 21s.
        asks: Bash: rm -rf build
        tool: Bash: rm -rf build
        said: I clean up␊first.
        model: opus
        session: 0b4f7a9e
        branch: main
        turns: 3
        used: 1200 tokens in, $1.23

           SOURCE  SAYS              AGE  CONFIRMED  REASON            EVENT           NOTE
        *  hook    waiting_approval  9s   3s         approval_reques…  needs-approval  decided
           poller  running           1s   0s         active                            contradicts, outrank…
           notify  nothing           1m   30s        approval_reques…  needs-approval  outranked
        ");
        insta::assert_snapshot!(shown(&lines(&answer, Some(40))), @r"
        %4 on local, session work: claude,
        runtime 3f9a0c5577d1e2b4
        waiting_approval for 9s, reason
        approval_requested, confidence high
        The newest fresh word of a source that
        knows for certain wins.
        [newest_deterministic_claim]
        Seen 1s ago, last activity 4s ago; the
        target is ok
        Without news it changes in 21s.
        asks: Bash: rm -rf build
        tool: Bash: rm -rf build
        said: I clean up␊first.
        model: opus
        session: 0b4f7a9e
        branch: main
        turns: 3
        used: 1200 tokens in, $1.23

           SOURCE  SAYS              AGE
        *  hook    waiting_approval  9s
           poller  running           1s
           notify  nothing           1m
        ");
    }
}
