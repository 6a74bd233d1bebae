//! What a run tells, and the ways to write it: for a person ([`Text`]), for a program ([`Json`]), for a
//! table ([`Csv`]).

mod csv;
mod json;
mod text;

pub use csv::Csv;
pub use json::{Host, Invocation, Json, JsonConfig};
pub use text::{Text, TextConfig};
