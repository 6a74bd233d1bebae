//! [`NameResolver`]: resolves the name of a target again during a run.

use super::look_up::{LookUp, LookUpState};
use super::{LookUpLimits, ResolveError, addresses_to_try, retain_version};
use crate::model::failure_context::VersionOption;
use crate::model::target::ip_and_zone;
use crate::plan::{Family, Plan};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tracing::debug;

/// The maximum age of a result that arrived after its timeout. A resolver that is always slower than the timeout would
/// otherwise never have a result. Names in the DNS rarely have a shorter lifetime.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Which address of the name to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressChoice {
    /// The current address, as long as the name has it.
    KeepCurrent,
    /// The address after the current one, if the name has several.
    Next,
}

/// The result of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SelectedAddress {
    pub(crate) address: SocketAddr,
    /// Whether the name has the address that was measured before.
    pub(crate) name_has_current: bool,
}

/// Resolves one name repeatedly. At most one look-up runs at a time.
#[derive(Debug)]
pub(crate) struct NameResolver {
    host: String,
    port: u16,
    family: Option<Family>,
    version_option: Option<VersionOption>,
    /// A look-up that did not finish within the timeout.
    late: Option<LookUp>,
}

impl NameResolver {
    /// The resolver for the target of `plan`. `None` if the target is an address.
    pub(crate) fn of(plan: &Plan) -> Option<Self> {
        let host = plan.target.host.clone();
        ip_and_zone(&host).is_none().then(|| Self {
            host,
            port: plan.port(),
            family: plan.settings.version(),
            version_option: plan.settings.version_option(),
            late: None,
        })
    }

    /// A resolver for the same name, without a running look-up.
    pub(crate) fn without_look_up(&self) -> Self {
        Self { host: self.host.clone(), late: None, ..*self }
    }

    /// The name.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The option that selects a version of IP.
    pub(crate) fn version_option(&self) -> Option<VersionOption> {
        self.version_option
    }

    /// Looks up the name, and selects one of its addresses (see [`AddressChoice`]). If the name does not have
    /// `current`, this is the first one. If a look-up takes longer than the timeout, later calls return an error
    /// immediately until it has ended. The first call after its end uses its result.
    pub(crate) fn address(
        &mut self,
        current: Option<SocketAddr>,
        choice: AddressChoice,
        limits: LookUpLimits<'_>,
    ) -> Result<SelectedAddress, ResolveError> {
        let start = Instant::now();
        let result = self.look_up(limits);
        let host = &self.host;
        match &result {
            Ok(addresses) => {
                let found = addresses.len();
                debug!(host, found, elapsed = ?start.elapsed(), "repeated name look-up");
            }
            Err(error) => {
                debug!(host, %error, elapsed = ?start.elapsed(), "repeated name look-up failed");
            }
        }
        let mut addresses = result?;
        retain_version(&mut addresses, self.family)?;
        Ok(select(&addresses, current, choice))
    }

    fn look_up(&mut self, limits: LookUpLimits<'_>) -> Result<Vec<SocketAddr>, ResolveError> {
        if let Some(late) = self.late.take() {
            match late.state() {
                LookUpState::Running => {
                    self.late = Some(late);
                    return Err(ResolveError::Timeout(limits.timeout));
                }
                LookUpState::Completed(age, result) if age <= MAX_AGE => return result,
                LookUpState::Completed(..) | LookUpState::Failed => {}
            }
        }
        let look_up = LookUp::start(&self.host, self.port)?;
        let result = look_up.wait(limits);
        if matches!(result, Err(ResolveError::Timeout(_))) {
            self.late = Some(look_up);
        }
        result
    }
}

/// Selects one of the `addresses`. There is at least one.
fn select(
    addresses: &[SocketAddr],
    current: Option<SocketAddr>,
    choice: AddressChoice,
) -> SelectedAddress {
    let known = current.filter(|current| addresses.contains(current));
    let to_try = addresses_to_try(addresses);
    let address = match (known, choice) {
        (Some(current), AddressChoice::KeepCurrent) => current,
        (Some(current), AddressChoice::Next) => {
            let position = to_try.iter().position(|address| *address == current);
            let next = position.map_or(0, |position| position + 1);
            to_try[next % to_try.len()]
        }
        (None, _) => to_try[0],
    };
    SelectedAddress { address, name_has_current: known.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::Condition;
    use crate::plan::Settings;
    use crate::protocol::registry::protocol_named;
    use std::sync::atomic::AtomicBool;

    static STOP: AtomicBool = AtomicBool::new(false);

    static LIMITS: LookUpLimits<'_> = LookUpLimits { timeout: Duration::from_secs(5), stop: &STOP };

    fn resolver(target: &str, settings: Settings) -> Option<NameResolver> {
        let udp = protocol_named("udp").unwrap();
        NameResolver::of(&Plan::new(udp, target.parse().unwrap(), settings).unwrap())
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn numeric_target_is_never_looked_up() {
        for target in ["192.0.2.7", "[2001:db8::7]:9", "fe80::1%7"] {
            assert!(resolver(target, Settings::series(2)).is_none(), "{target}");
        }
    }

    #[test]
    fn current_address_is_kept_as_long_as_the_name_has_it() {
        let numbers = 0..3000_u32;
        let addresses: Vec<SocketAddr> =
            numbers.map(|number| ((0x0a00_0000 + number).to_be_bytes(), 9).into()).collect();
        let keep = |current| select(&addresses, current, AddressChoice::KeepCurrent).address;
        // The last address is not among the first addresses, which a run tries at its start.
        assert_eq!(keep(addresses.last().copied()), addresses[2999]);
        assert_eq!(keep(Some(address("192.0.2.7:9"))), addresses[0]);
        assert_eq!(keep(None), addresses[0]);
    }

    #[test]
    fn next_address_follows_the_order_of_the_attempts() {
        let addresses = ["[2001:db8::1]:9", "[2001:db8::2]:9", "192.0.2.1:9"].map(address);
        let next = |current| select(&addresses, Some(current), AddressChoice::Next).address;
        // The versions of IP alternate.
        assert_eq!(next(addresses[0]), addresses[2]);
        assert_eq!(next(addresses[2]), addresses[1]);
        assert_eq!(next(addresses[1]), addresses[0]);
        assert_eq!(next(address("192.0.2.9:9")), addresses[0]);
        let only = select(&addresses[..1], Some(addresses[0]), AddressChoice::Next);
        assert_eq!(only, SelectedAddress { address: addresses[0], name_has_current: true });
    }

    #[test]
    fn look_up_respects_the_version_of_ip_and_the_local_address() {
        let v4 = Settings { family: Some(Family::V4), ..Settings::series(2) };
        let bound = Settings { bind: Some(address("127.0.0.1:0")), ..Settings::series(2) };
        for settings in [v4, bound] {
            let mut resolver = resolver("localhost:9", settings).unwrap();
            let found = resolver.address(None, AddressChoice::KeepCurrent, LIMITS).unwrap().address;
            assert_eq!(found, address("127.0.0.1:9"));
        }
    }

    #[test]
    fn late_look_up_is_the_only_one_and_its_result_is_used() {
        let (sender, late) = LookUp::controlled();
        let mut resolver = resolver("localhost:9", Settings::series(2)).unwrap();
        resolver.late = Some(late);
        let start = Instant::now();
        for _ in 0..1000 {
            let error = resolver.address(None, AddressChoice::KeepCurrent, LIMITS).unwrap_err();
            assert_eq!(error.condition(), Condition::NameLookupFailed);
        }
        assert!(start.elapsed() < LIMITS.timeout, "the calls waited: {:?}", start.elapsed());
        let expected = address("192.0.2.7:9");
        sender.send((Instant::now(), Ok(vec![expected]))).unwrap();
        let found = resolver.address(None, AddressChoice::KeepCurrent, LIMITS).unwrap().address;
        assert_eq!(found, expected);
    }

    #[test]
    fn old_result_is_not_used() {
        let (sender, late) = LookUp::controlled();
        let mut resolver = resolver("localhost:9", Settings::series(2)).unwrap();
        resolver.late = Some(late);
        // The clock of a system that has just started can be below this age.
        let Some(time) = Instant::now().checked_sub(2 * MAX_AGE) else { return };
        sender.send((time, Ok(vec![address("192.0.2.7:9")]))).unwrap();
        let found = resolver.address(None, AddressChoice::KeepCurrent, LIMITS).unwrap().address;
        assert!(found.ip().is_loopback(), "{found}");
    }
}
