//! The types of the events that the sources announce.

/// The type of an event as it is on the wire, a constant: `event_type!("account.created")`.
#[macro_export]
macro_rules! event_type {
    ($event:literal) => {
        concat!("dev.reliable-caching.", $event, ".v1")
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_event_is_named_by_a_domain_and_a_version() {
        const CREATED: &str = crate::event_type!("account.created");
        assert_eq!(CREATED, "dev.reliable-caching.account.created.v1");
    }
}
