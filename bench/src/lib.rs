//! What measuring and torturing share: a world around the binary that ships, what its processes
//! cost, and how figures are summed up and printed.

pub mod cast;
pub mod cost;
pub mod figures;
pub mod past;
pub mod report;
pub mod world;
