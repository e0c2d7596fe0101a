//! What must hold for any bytes that stand in a spool.

use agents::record::{CHAIN_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, Payload, Record, name};

pub(crate) fn check(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        if let Ok(record) = Record::parse(line) {
            keeps_its_promises(&record);
            comes_back(&record);
        }
    }
    survives(input);
    let name = name(&String::from_utf8_lossy(input));
    assert!(name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control));
}

/// What is read is bounded and can be shown.
fn keeps_its_promises(record: &Record) {
    assert!((16..=64).contains(&record.id.len()));
    assert!(record.id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    for name in [&record.agent, &record.event] {
        assert!(name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control), "{name:?}");
    }
    assert!(record.chain.len() <= CHAIN_MAX && record.at.0 >= 0);
    if let Payload::Whole(bytes) = &record.payload {
        assert!(bytes.len() <= PAYLOAD_BYTES_MAX);
    }
}

/// What was read is written so that the same is read again.
fn comes_back(record: &Record) {
    let line = record.to_line();
    let (Some((b'\n', rest)), Some(b'\n')) = (line.split_first(), line.last()) else {
        panic!("a record begins and ends with an end of line");
    };
    let inner = &rest[..rest.len() - 1];
    assert!(!inner.contains(&b'\n'), "a record is one line");
    assert_eq!(Record::parse(inner).as_ref(), Ok(record));
}

/// A record behind any bytes is read, and one with the bytes for a payload brings them back.
fn survives(input: &[u8]) {
    let record = Record {
        id: "0123456789abcdef".to_owned(),
        agent: "agent".to_owned(),
        event: "Stop".to_owned(),
        at: Default::default(),
        tmux: Some(input.to_vec()).filter(|text| text.len() <= 4_096),
        pane: None,
        chain: Vec::new(),
        cwd: None,
        waits: None,
        payload: Payload::Whole(input.to_vec()),
    };
    if input.len() > PAYLOAD_BYTES_MAX {
        return;
    }
    let spool = [input, &record.to_line()].concat();
    let last = spool.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    assert_eq!(Record::parse(last.unwrap_or_default()), Ok(record));
}
