//! The packets of the toy protocol. The client cannot capture them.

use crate::capture::dissector::Dissector;

/// The toy protocol has no dissector.
pub(crate) const DISSECTOR: Option<&dyn Dissector> = None;
