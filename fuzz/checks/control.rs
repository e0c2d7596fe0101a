//! What must hold for any stream that claims to be tmux's control mode.

use tmux::{
    control::{Desync, FarEnd, Message, Parser},
    exchange::Exchanges,
    format::Nonce,
    rows::{ClientRow, PaneBrief, PaneRow, SessionRow},
    scan::Scan,
};

/// The first byte chooses how the rest is cut and who is at the far end.
pub(crate) fn check(input: &[u8]) {
    let Some((&choice, stream)) = input.split_first() else { return };
    let far_end = if choice & 1 == 0 { FarEnd::Plain } else { FarEnd::Chatty };
    let piece = 1 + usize::from(choice >> 1);

    let whole = parse(far_end, stream, stream.len().max(1));
    let pieces = parse(far_end, stream, piece);
    assert_eq!(whole, pieces, "what arrives depends on how it was cut");

    let (messages, _) = whole;
    let said: usize = messages.iter().map(size).sum();
    assert!(said <= stream.len(), "more came out than went in");
    answer(messages);
}

fn parse(far_end: FarEnd, stream: &[u8], piece: usize) -> (Vec<Message>, Result<(), Desync>) {
    let mut parser = Parser::new(far_end);
    let mut messages = Vec::new();
    for piece in stream.chunks(piece) {
        if let Err(desync) = parser.feed(piece, &mut messages) {
            let count = messages.len();
            assert_eq!(parser.feed(b"%exit\n", &mut messages), Err(desync), "a fault is final");
            assert_eq!(messages.len(), count, "nothing comes after a fault");
            return (messages, Err(desync));
        }
    }
    (messages, Ok(()))
}

fn size(message: &Message) -> usize {
    match message {
        Message::Reply(reply) => reply.body.len(),
        Message::Stray(line) => line.len(),
        Message::Notification(_) => 0,
    }
}

/// Whatever the replies hold, asking and reading end in an answer or a refusal.
fn answer(messages: Vec<Message>) {
    let nonce = Nonce::from_random([0x5e, 0xed, 0, 0, 0, 0, 0, 1]);
    let panes = Scan::<PaneRow>::all(nonce);
    let mut exchanges = Exchanges::new();
    for message in messages {
        let Message::Reply(reply) = message else { continue };
        exchanges.send(&panes.batch(), ()).ok();
        let Ok(answer) = exchanges.take(reply) else { return };
        let Some(output) = answer.and_then(|answer| answer.result.ok()) else { continue };
        panes.read(&output).ok();
        Scan::<PaneBrief>::all(nonce).read(&output).ok();
        Scan::<SessionRow>::all(nonce).read(&output).ok();
        Scan::<ClientRow>::all(nonce).read(&output).ok();
    }
}
