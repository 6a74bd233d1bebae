//! The explanations of TCP: failures, causes and claims.

use crate::analysis::explain::Explain;

/// The explanations of TCP.
pub(crate) struct Explanations;

impl Explain for Explanations {}
