//! One named test a promise.
