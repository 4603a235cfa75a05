//! The end-to-end tests: one binary, since each further one costs a link of everything. A module for each promise.
#![expect(clippy::print_stdout, reason = "tests show what they measured")]

mod cluster;
mod contracts;
mod copy;
mod demo;
mod faulty_disk;
mod faulty_ingest;
mod faulty_receivers;
mod g1_nothing_lost;
mod g1_power_cut;
mod g1_receiver_answered;
mod g2_g3_tenants;
mod g4_answers;
mod g6_lost_notifications;
mod policies;
mod postgres;
mod signatures;
mod stopping;
mod the_disk_itself;
