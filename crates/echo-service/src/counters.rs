//! Defines the counters of a server, with an explanation for `--help`.

/// Totals that a server can write to its log.
pub trait LogTotals {
    /// Writes one log event. Each counter is a named field. `when` is the message of the event, for example
    /// "totals at the end".
    fn log(&self, when: &'static str);
}

/// Defines a struct with the counters of a server.
///
/// The macro also implements [`LogTotals`] and `AddAssign`. The constant `DESCRIPTIONS` contains the name and the
/// doc comment of each counter, for `--help`. So the log, the sum over all workers, the documentation and
/// `--help` always have the same counters.
///
/// ```
/// echo_service::counters! {
///     /// Counters of a server.
///     pub struct Totals {
///         /// Datagrams that the server received.
///         received,
///     }
/// }
///
/// let mut sum = Totals { received: 1 };
/// sum += Totals { received: 2 };
/// assert_eq!(sum.received, 3);
/// assert_eq!(Totals::DESCRIPTIONS[0].0, "received");
/// ```
#[macro_export]
macro_rules! counters {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[doc = $doc:literal])+ $counter:ident,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        $visibility struct $name {
            $($(#[doc = $doc])+ pub $counter: u64,)+
        }

        #[allow(dead_code, reason = "a test does not need the descriptions")]
        impl $name {
            /// The name and the doc comment of each counter.
            pub const DESCRIPTIONS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($counter), concat!($($doc),+)),)+];
        }

        impl ::std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                $(self.$counter += other.$counter;)+
            }
        }

        impl $crate::LogTotals for $name {
            fn log(&self, when: &'static str) {
                $crate::tracing::info!($($counter = self.$counter,)+ "{when}");
            }
        }
    };
}

/// Formats the section of `--help` that explains the counters. It has the layout of clap's long help.
#[must_use]
pub fn counters_help(descriptions: &[(&str, &str)]) -> String {
    let counters =
        descriptions.iter().map(|(name, text)| format!("\n  {name}\n          {}\n", text.trim()));
    format!("Counters in the totals:{}", counters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    counters! {
        /// Counters of a test.
        pub struct Totals {
            /// Requests that
            /// arrived.
            received,
            /// Requests that had a reply.
            answered,
        }
    }

    #[test]
    fn help_contains_the_doc_comment_of_each_counter() {
        assert_eq!(
            counters_help(Totals::DESCRIPTIONS),
            "Counters in the totals:\n  received\n          Requests that arrived.\n\
             \n  answered\n          Requests that had a reply.\n"
        );
    }

    #[test]
    fn each_counter_is_summed() {
        let mut sum = Totals { received: 5, answered: 3 };
        sum += Totals { received: 2, answered: 1 };
        assert_eq!(sum, Totals { received: 7, answered: 4 });
    }
}
