//! What an agent told of itself, as the API shows it.

use api::agents::AgentDetails;
use engine::limits;
use engine::state::Evidence;
use engine::words::Detail;

/// As much of a last message as a list shows: there are many agents in it.
const LISTED_BYTES_MAX: usize = 240;

/// How much of an agent is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As one of many.
    Listed,
    /// All there is.
    Full,
}

/// The details of an agent, each as it was told last.
pub(crate) fn details(evidence: &Evidence, extent: Extent) -> AgentDetails {
    let text = |detail| evidence.detail(detail).map(str::to_owned);
    let count = |detail| evidence.detail(detail).and_then(|text| text.parse().ok());
    let last_message = text(Detail::LastMessage).map(|mut message| {
        if extent == Extent::Listed {
            limits::cut(&mut message, LISTED_BYTES_MAX);
        }
        message
    });
    AgentDetails {
        session_id: text(Detail::Session),
        model: text(Detail::Model),
        tool: text(Detail::Tool),
        tool_input: text(Detail::ToolInput),
        ask: text(Detail::Ask),
        last_message,
        directory: text(Detail::Directory),
        branch: text(Detail::Branch),
        turns: evidence.turns(),
        waited_ms: evidence.waited_ms(),
        tokens_in: count(Detail::TokensIn),
        tokens_out: count(Detail::TokensOut),
        cost_microusd: count(Detail::Cost),
    }
}
