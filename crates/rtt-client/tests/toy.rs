//! Runs every command with the toy protocol (`src/protocol/toy.rs`). The toy protocol has two connection phases and
//! unordered replies. It has no kernel statistics, and no packets can be captured. So this test fails if generic code
//! depends on a real protocol.
//!
//! This test needs the feature `toy-protocol`. `cargo xtask ci` runs it.
