//! The simulator as a test: pinned seeds, fresh seeds, and what it rests on.

mod simulator;
