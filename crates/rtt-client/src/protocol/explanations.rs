//! The explanations of all protocols (pure). Generic code finds the explanation of a protocol here.

use crate::analysis::explain::Explain;
use crate::model::protocol::Protocol;
use crate::protocol::registry::for_all_protocols;

/// Creates the list of explanations.
macro_rules! explanations {
    ($($(#[$attribute:meta])? $protocol:ident),*) => {
        /// One entry for each protocol.
        static EXPLANATIONS: &[(&Protocol, &dyn Explain)] = &[$(
            $(#[$attribute])?
            (&super::$protocol::facts::FACTS, &super::$protocol::explain::Explanations)
        ),*];
    };
}
for_all_protocols!(explanations);

/// The explanations of `protocol`.
pub(crate) fn explanations_of(protocol: &Protocol) -> &'static dyn Explain {
    let (_, explanations) = EXPLANATIONS
        .iter()
        .find(|(facts, _)| facts.name == protocol.name)
        .expect("the registry contains every protocol");
    if !protocol.is_handshake() {
        return *explanations;
    }
    explanations
        .of_handshakes()
        .expect("a protocol with facts about its handshakes has explanations for them")
}
