//! Every bound of this crate, with what happens when it is reached.

/// Longest line taken from a control-mode stream.
///
/// Beyond it the parser reports [`Desync::LineTooLong`](crate::control::Desync::LineTooLong).
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Longest body of one reply.
///
/// A full scan of 1,000 panes whose names are all 1,000 characters long stays below 8 MiB. Beyond
/// the bound the parser reports [`Desync::BlockTooLong`](crate::control::Desync::BlockTooLong).
pub const BLOCK_BYTES_MAX: usize = 32 << 20;

/// Most lines in the body of one reply, reported as
/// [`Desync::TooManyLines`](crate::control::Desync::TooManyLines).
pub const BLOCK_LINES_MAX: usize = 500_000;

/// How much a chatty far end may print before the first reply, reported as
/// [`Desync::NoGreeting`](crate::control::Desync::NoGreeting).
pub const PREAMBLE_BYTES_MAX: usize = 256 << 10;

/// Longest control-mode line we write; longer batches are refused while they are rendered.
///
/// tmux itself took lines above 1 MB; ours are a few kilobytes.
pub const COMMAND_LINE_BYTES_MAX: usize = 1 << 20;

/// Most bytes in the arguments of one forked `tmux`; longer batches are refused.
///
/// The client sends its arguments in one message of 16,384 bytes, header included, and tmux
/// answers `command too long` beyond that.
pub const ARGV_BYTES_MAX: usize = 16_000;

/// Most batches that may wait for their answers at once; further ones are refused.
///
/// Replies have no flow control inside tmux, so what waits must stay small.
pub const BATCHES_IN_FLIGHT_MAX: usize = 64;

/// Longest name of a notification that is kept for one we do not know; the rest is cut off.
pub const UNKNOWN_NAME_BYTES_MAX: usize = 64;

/// Longest identifier inside a name that we make ourselves; longer ones are refused.
pub const OWN_NAME_BYTES_MAX: usize = 64;
