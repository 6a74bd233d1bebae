//! The notes about changes of the measured address.

use crate::analysis::statistics::AddressChanges;
use crate::model::address_change::{AddressChange, AddressChangeReason};
use crate::model::format::counted;
use chrono::{DateTime, Local};
use echo_core::escape;

/// The changes of the measured address. If an address has no reply, the client tries the next one at each attempt, so only
/// the last of these changes has a note.
pub(super) fn notes(changes: &AddressChanges) -> Vec<String> {
    let last = changes.last_without_reply.as_ref();
    let stored = changes.first.iter().chain(last);
    let mut notes: Vec<String> = stored.map(note).collect();
    if changes.not_stored() > 0 {
        let number = counted(changes.not_stored(), "more time", "more times");
        notes.push(format!("The address changed {number}."));
    }
    notes
}

fn note(change: &AddressChange) -> String {
    let AddressChange { host, old, new, time, reason, .. } = change;
    let (host, new) = (escape(host.as_bytes()), new.ip());
    let time = DateTime::<Local>::from(time.wall()).format("%H:%M:%S");
    match (old.map(|old| old.ip()), reason) {
        (Some(old), AddressChangeReason::NameChanged) => {
            format!("The address of {host} changed from {old} to {new} at {time}.")
        }
        (Some(old), AddressChangeReason::NoReply) => format!(
            "At {time}, the client changed from {old} to {new}, another address of {host}, because {old} did not reply."
        ),
        (None, _) => format!("{host} had no address until {time}. Its address is {new}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::EXAMPLE;
    use echo_core::Stamp;

    #[test]
    fn change_of_the_address_has_a_note_with_the_time_of_day() {
        let protocol = &EXAMPLE;
        let [a, b] = ["192.0.2.1:7", "192.0.2.2:7"].map(|address| address.parse().unwrap());
        let time = Stamp::just_before();
        let clock = DateTime::<Local>::from(time.wall()).format("%H:%M:%S").to_string();
        for (old, reason, expected) in [
            (
                Some(a),
                AddressChangeReason::NameChanged,
                format!(
                    "The address of moving.example changed from 192.0.2.1 to 192.0.2.2 at {clock}."
                ),
            ),
            (
                None,
                AddressChangeReason::NameChanged,
                format!("moving.example had no address until {clock}. Its address is 192.0.2.2."),
            ),
            (
                Some(a),
                AddressChangeReason::NoReply,
                format!(
                    "At {clock}, the client changed from 192.0.2.1 to 192.0.2.2, another address of moving.example, because 192.0.2.1 did not reply."
                ),
            ),
        ] {
            let host = "moving.example".to_owned();
            let mut changes = AddressChanges::default();
            changes.add(AddressChange { protocol, host, old, new: b, time, reason });
            assert_eq!(notes(&changes), [expected]);
        }
    }
}
