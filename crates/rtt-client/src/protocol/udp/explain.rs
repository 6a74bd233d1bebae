//! The explanations of UDP: failures, causes and claims.

use crate::analysis::explain::Explain;

/// The explanations of UDP.
pub(crate) struct Explanations;

impl Explain for Explanations {}
