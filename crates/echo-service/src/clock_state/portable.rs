//! The implementation for other systems: the state is not known.

use echo_core::header::version2::ClockState;

pub(super) fn read_clock_state() -> ClockState {
    ClockState::Unsynchronised
}
