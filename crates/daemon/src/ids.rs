//! The one source of new names: UUIDv7 from our clock and the kernel's randomness.

use crate::clock::Clock;

/// Makes ids with a short readable prefix.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    clock: Clock,
}

impl Ids {
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// A new id such as `ev-01994e6c...`, sortable by its making.
    pub fn next(&self, prefix: &str) -> String {
        let millis = u64::try_from(self.clock.now().wall.0).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes()).into_uuid();
        format!("{prefix}-{}", uuid.simple())
    }
}

/// Ten unpredictable bytes.
pub fn random_bytes() -> [u8; 10] {
    let mut bytes = [0; 10];
    // Without the kernel's randomness nothing on the machine is safe; there is nothing to fall
    // back to.
    getrandom::fill(&mut bytes).expect("the kernel hands out randomness");
    bytes
}
