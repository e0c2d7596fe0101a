//! The adapters of this daemon, and what is done to whatever they tell.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use agents::redact;
use agents::registry::Registry;
use engine::limits;
use engine::words::Detail;

/// All of them, the same for every target.
pub(crate) fn adapters() -> &'static Registry {
    static ADAPTERS: LazyLock<Registry> = LazyLock::new(Registry::built_in);
    &ADAPTERS
}

/// Details come from payloads and screens: they are redacted and bounded like any text that is kept.
pub(crate) fn presentable(details: BTreeMap<Detail, String>) -> BTreeMap<Detail, String> {
    let clean = |(detail, text): (Detail, String)| {
        let mut text = redact::text(&text);
        limits::cut(&mut text, limits::TEXT_BYTES_MAX);
        (detail, text)
    };
    details.into_iter().map(clean).collect()
}
