//! What may be a machine's `sh`.

pub(crate) const SHELLS: &[&[&str]] = &[
    &["sh"],
    &["dash"],
    &["bash", "--posix"],
    &["busybox", "sh"],
    &["ksh"],
    &["zsh", "--emulate", "sh"],
];
