//! Who hears of it: notification channels.
