//! [`AddressChanges`]: the changes of the measured address.

use crate::model::address_change::{AddressChange, AddressChangeReason};

/// The maximum number of stored changes. Further changes are only counted.
const MAX_STORED: usize = 20;

/// The changes of the measured address in a run.
#[derive(Debug, Clone, Default)]
pub struct AddressChanges {
    /// The number of changes, of all reasons.
    pub count: u64,
    /// The first changes of the name's address, in their order.
    pub first: Vec<AddressChange>,
    /// The number of changes of the name's address that are not stored.
    not_stored: u64,
    /// The last change because an address did not reply.
    pub last_without_reply: Option<AddressChange>,
}

impl AddressChanges {
    /// Adds a change.
    pub(crate) fn add(&mut self, change: AddressChange) {
        self.count += 1;
        match change.reason {
            AddressChangeReason::NoReply => self.last_without_reply = Some(change),
            AddressChangeReason::NameChanged if self.first.len() < MAX_STORED => {
                self.first.push(change);
            }
            AddressChangeReason::NameChanged => self.not_stored += 1,
        }
    }

    /// The number of changes of the name's address that are not stored.
    #[must_use]
    pub fn not_stored(&self) -> u64 {
        self.not_stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::protocol::EXAMPLE;
    use echo_core::Stamp;

    fn change(number: u16, reason: AddressChangeReason) -> AddressChange {
        let address = |number| ([192, 0, 2, 1], number).into();
        let (host, time) = ("name.example".to_owned(), Stamp::just_before());
        let (old, new) = (Some(address(number)), address(number + 1));
        AddressChange { protocol: &EXAMPLE, host, old, new, time, reason }
    }

    #[test]
    fn number_of_stored_changes_is_limited() {
        let mut changes = AddressChanges::default();
        for number in 0..1000 {
            changes.add(change(number, AddressChangeReason::NoReply));
            changes.add(change(number, AddressChangeReason::NameChanged));
        }
        assert_eq!((changes.count, changes.first.len()), (2000, MAX_STORED));
        assert_eq!(changes.not_stored(), 1000 - MAX_STORED as u64);
        assert_eq!(changes.first[1].new.port(), 2);
        assert_eq!(changes.last_without_reply.unwrap().new.port(), 1000);
    }
}
