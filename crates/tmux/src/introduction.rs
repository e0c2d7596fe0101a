//! How a client introduces itself to a server, put into an order in which it harms none.
//!
//! A client sends some twenty messages, and they leave it in three writes, because two of them carry
//! descriptors. Up to tmux 3.6 a server takes it for one in control mode at the first message and
//! makes what it needs for that at the last. If it has something to tell in between, or the client
//! is gone by then, the server ends, and everything in it. So what makes a client one in control
//! mode is moved to the end, next to the message that completes the introduction: both are then
//! read at once.

/// What stands before each message: its type, its length, and two numbers of no interest here.
const HEADER_BYTES: usize = 16;
/// The longest message there can be.
const MESSAGE_BYTES_MAX: usize = 16_384;
/// More than any introduction of ours has.
const BYTES_MAX: usize = 256 * 1024;

/// The messages of an introduction; those that come later have higher numbers.
const TYPES: std::ops::RangeInclusive<u32> = 100..=199;
const FLAGS: u32 = 100;
const STDIN: u32 = 104;
const DONE: u32 = 106;
const STDOUT: u32 = 110;
const LONG_FLAGS: u32 = 111;

/// What is to be handed over by one write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    pub bytes: Vec<u8>,
    /// The next descriptor that came goes with it.
    pub with_descriptor: bool,
}

/// What a client has said so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The introduction goes on.
    Part,
    /// It is complete. What followed it is the last parcel.
    Whole(Vec<Parcel>),
    /// This is not how a tmux that we know speaks.
    Foreign,
}

/// Reads what a client has said since its first byte.
pub fn hear(said: &[u8]) -> Heard {
    let mut parcels = vec![Parcel::default()];
    let mut closing = Vec::new();
    let mut rest = said;
    loop {
        let (kind, message) = match first_message(rest) {
            Some(Ok(found)) => found,
            Some(Err(Malformed)) => return Heard::Foreign,
            None if said.len() > BYTES_MAX => return Heard::Foreign,
            None => return Heard::Part,
        };
        rest = &rest[message.len()..];
        match kind {
            DONE => {
                closing.extend_from_slice(message);
                parcels.extend([Parcel::plain(&closing), Parcel::plain(rest)]);
                parcels.retain(|parcel| !parcel.bytes.is_empty());
                return Heard::Whole(parcels);
            }
            FLAGS | LONG_FLAGS => closing.extend_from_slice(message),
            STDIN | STDOUT => {
                let bytes = message.to_vec();
                parcels.extend([Parcel { bytes, with_descriptor: true }, Parcel::default()]);
            }
            other if TYPES.contains(&other) => match parcels.last_mut() {
                Some(parcel) => parcel.bytes.extend_from_slice(message),
                None => parcels.push(Parcel::plain(message)),
            },
            _ => return Heard::Foreign,
        }
    }
}

impl Parcel {
    fn plain(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), with_descriptor: false }
    }
}

struct Malformed;

/// Type and bytes of the first message, once all of it is there.
fn first_message(bytes: &[u8]) -> Option<Result<(u32, &[u8]), Malformed>> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let [t0, t1, t2, t3, l0, l1, ..] = *header;
    let kind = u32::from_ne_bytes([t0, t1, t2, t3]);
    // Behind the length stand 16 bits of flags, or, from 3.6 on, its upper half with a flag in it.
    let length = usize::from(u16::from_ne_bytes([l0, l1]));
    if !(HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(&length) {
        return Some(Err(Malformed));
    }
    bytes.get(..length).map(|message| Ok((kind, message)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u32, flags: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER_BYTES + data.len()).unwrap();
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend(length.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([8, 0, 0, 0, 1, 2, 3, 4]);
        bytes.extend(data);
        bytes
    }

    /// What tmux 3.3a says, in its order.
    fn introduction() -> Vec<Vec<u8>> {
        vec![
            message(FLAGS, 0, &[0x20, 0, 0, 0]),
            message(LONG_FLAGS, 0, &[0x20, 0, 0, 0, 0, 0, 0, 0]),
            message(101, 0, b"screen\0"),
            message(109, 0, &[0; 4]),
            message(STDIN, 1, b""),
            message(STDOUT, 1, b""),
            message(107, 0, &[7, 0, 0, 0]),
            message(105, 0, b"PATH=/bin\0"),
            message(DONE, 0, b""),
        ]
    }

    #[test]
    fn what_makes_a_control_client_comes_with_the_end_of_the_introduction() {
        let it = introduction();
        let mut said = it.concat();
        said.extend(message(200, 0, b"attach"));
        let plain = |parts: &[usize]| {
            Parcel::plain(&parts.iter().flat_map(|part| it[*part].clone()).collect::<Vec<_>>())
        };
        let carries = |part: usize| Parcel { bytes: it[part].clone(), with_descriptor: true };
        let wanted = vec![
            plain(&[2, 3]),
            carries(4),
            carries(5),
            plain(&[6, 7]),
            plain(&[0, 1, 8]),
            Parcel::plain(&message(200, 0, b"attach")),
        ];
        assert_eq!(hear(&said), Heard::Whole(wanted));
    }

    #[test]
    fn it_is_waited_for_the_end_and_for_nothing_that_is_none() {
        let said = introduction().concat();
        for end in 0..said.len() {
            assert_eq!(hear(&said[..end]), Heard::Part, "{end}");
        }
        for foreign in [message(7, 0, b""), message(200, 0, b""), vec![0xff; 64], vec![0; 64]] {
            assert_eq!(hear(&foreign), Heard::Foreign);
        }
        let endless = message(105, 0, &[b'x'; 16_000]).repeat(17);
        assert_eq!(hear(&endless), Heard::Foreign);
    }

    proptest! {
        #[test]
        fn nothing_of_an_introduction_is_lost_or_comes_twice(
            kinds in prop::collection::vec((100u32..=112).prop_filter("the end", |it| *it != DONE), 0..30),
            behind in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut said: Vec<Vec<u8>> =
                kinds.iter().zip(0u32..).map(|(kind, nth)| message(*kind, 0, &nth.to_ne_bytes())).collect();
            said.push(message(DONE, 0, b""));
            let mut bytes = said.concat();
            bytes.extend(&behind);
            let Heard::Whole(parcels) = hear(&bytes) else { panic!("it is whole") };
            let all: Vec<u8> = parcels.iter().flat_map(|it| it.bytes.clone()).collect();
            prop_assert_eq!(all.len(), bytes.len());
            prop_assert!(all.ends_with(&behind));
            let descriptors = parcels.iter().filter(|it| it.with_descriptor).count();
            let carriers = kinds.iter().filter(|kind| [STDIN, STDOUT].contains(kind)).count();
            prop_assert_eq!(descriptors, carriers);
            for message in said {
                prop_assert!(all.windows(message.len()).any(|it| it == message));
            }
        }

        #[test]
        fn whatever_is_said_is_heard(said in prop::collection::vec(any::<u8>(), 0..400)) {
            hear(&said);
        }
    }
}
