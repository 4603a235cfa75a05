//! How a verb gets a connection, and when it is tried again.

/// How often a verb is tried again that collided with another.
pub(in crate::postgres) const COLLISIONS: u32 = 5;

/// Does something on a connection: `read`, `write` and `list` for whoever asks, `take` and `complete` for the stages.
///
/// Once, or, where it only reads, once more on a new one if the first had died.
macro_rules! on {
    ($store:expr, list $sql:ident => $work:expr) => {
        on!($store, $crate::postgres::pool::Purpose::Listing, reads $sql => $work)
    };
    ($store:expr, read $sql:ident => $work:expr) => {
        on!($store, $crate::postgres::pool::Purpose::Asking, reads $sql => $work)
    };
    ($store:expr, take $sql:ident => $work:expr) => {
        on!($store, $crate::postgres::pool::Purpose::Work, reads $sql => $work)
    };
    ($store:expr, write $sql:ident => $work:expr) => {
        on!($store, $crate::postgres::pool::Purpose::Asking, writes $sql => $work)
    };
    ($store:expr, complete $sql:ident => $work:expr) => {
        on!($store, $crate::postgres::pool::Purpose::Work, writes $sql => $work)
    };
    ($store:expr, $purpose:expr, reads $sql:ident => $work:expr) => {{
        use $crate::postgres::trouble::{Trouble, Undone};
        let lent = $store.shared.pool.lend($purpose).await?;
        let used = lent.used;
        match lent.run(async |$sql| $work.await).await {
            Err(Undone::Sql(error)) if used && Trouble::of(&error) == Trouble::Lost => {
                let lent = $store.shared.pool.lend($purpose).await?;
                Ok(lent.run(async |$sql| $work.await).await?)
            }
            done => Ok(done?),
        }
    }};
    ($store:expr, $purpose:expr, writes $sql:ident => $work:expr) => {{
        use $crate::postgres::{
            store::on::COLLISIONS,
            trouble::{Trouble, Undone},
        };
        let mut collisions = 0;
        loop {
            let lent = $store.shared.pool.lend($purpose).await?;
            match lent.run(async |$sql| $work.await).await {
                // Two who waited for each other: this one was rolled back whole.
                Err(Undone::Sql(error))
                    if collisions < COLLISIONS && Trouble::of(&error) == Trouble::Collision =>
                {
                    collisions += 1;
                }
                done => break Ok(done?),
            }
        }
    }};
}

pub(super) use on;
