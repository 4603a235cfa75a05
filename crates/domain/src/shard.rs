//! What is worked on by one node at a time: a sixty-fourth of all work.
//!
//! The numbers stand in databases that several versions of the program share: which shard something falls into must
//! never change. The hash is therefore written out here, and pinned by a test.

use std::fmt;

use uuid::Uuid;

use crate::ids::{IntegrationId, WebhookId};

/// A part of all work; one node at a time has it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Shard(u8);

/// A number that names no shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no shard {0}: they are numbered from 0 to 63")]
pub struct InvalidShard(u8);

impl Shard {
    /// How many there are: enough that a few dozen nodes get even shares, few enough that each costs nothing.
    pub const COUNT: u8 = 64;

    /// The first.
    pub const FIRST: Self = Self(0);

    /// Where the deliveries to a webhook belong: whoever has them keeps their order, their pace and their breaker.
    pub fn of_webhook(webhook: WebhookId) -> Self {
        Self::of(|hash| hash.text(webhook))
    }

    /// Where the notifications and subscriptions of a mailbox belong, or of what else a path begins with: a group, a
    /// site. `None` is all of the tenant that belongs to nobody in particular. Names that differ only in case are the
    /// same.
    pub fn of_mailbox(integration: IntegrationId, tenant: Uuid, owner: Option<&str>) -> Self {
        Self::of(|hash| {
            hash.text(integration);
            hash.bytes(tenant.as_bytes());
            // Only ASCII: what else counts as the same letter changes with the tables of Unicode.
            for byte in owner.unwrap_or_default().bytes() {
                hash.byte(byte.to_ascii_lowercase());
            }
        })
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its number, below [`Shard::COUNT`].
    pub const fn get(self) -> u8 {
        self.0
    }

    fn of(feed: impl FnOnce(&mut Fnv)) -> Self {
        let mut hash = Fnv::new();
        feed(&mut hash);
        Self(hash.top())
    }
}

impl TryFrom<u8> for Shard {
    type Error = InvalidShard;

    fn try_from(number: u8) -> Result<Self, InvalidShard> {
        if number < Self::COUNT {
            Ok(Self(number))
        } else {
            Err(InvalidShard(number))
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A set of shards.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct ShardSet(u64);

impl ShardSet {
    /// Every shard.
    pub const ALL: Self = Self(u64::MAX);
    /// None.
    pub const EMPTY: Self = Self(0);

    /// The set with these bits: bit 0 is shard 0.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// One bit a shard.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether it has this one.
    pub const fn contains(self, shard: Shard) -> bool {
        self.0 >> shard.0 & 1 == 1
    }

    /// Adds one.
    pub const fn insert(&mut self, shard: Shard) {
        self.0 |= 1 << shard.0;
    }

    /// Removes one.
    pub const fn remove(&mut self, shard: Shard) {
        self.0 &= !(1 << shard.0);
    }

    /// How many it has.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether it has none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that this one has and the other has not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those it has, in order.
    pub fn iter(self) -> impl Iterator<Item = Shard> {
        Shard::all().filter(move |&shard| self.contains(shard))
    }
}

impl FromIterator<Shard> for ShardSet {
    fn from_iter<I: IntoIterator<Item = Shard>>(shards: I) -> Self {
        let mut set = Self::EMPTY;
        for shard in shards {
            set.insert(shard);
        }
        set
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Shard::get)).finish()
    }
}

/// FNV-1a with 64 bits (the constants are those of its authors' page), and a last step that mixes what came last into
/// the high bits.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    const fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.byte(byte);
        }
    }

    fn text(&mut self, text: impl fmt::Display) {
        // Writing into a number cannot fail.
        let _ = fmt::Write::write_fmt(self, format_args!("{text}"));
    }

    /// The six highest bits.
    const fn top(&self) -> u8 {
        // The odd number next to 2^64 divided by the golden ratio.
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 58).to_le_bytes()[0]
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    #[test]
    fn the_shard_of_something_never_changes() {
        let webhooks: Vec<u8> = (1..=8)
            .map(|number| Shard::of_webhook(WebhookId::from(Ulid(number << 64))).get())
            .collect();
        assert_eq!(webhooks, [39, 58, 30, 1, 55, 46, 26, 8]);
        let integration = IntegrationId::from(Ulid(1));
        let mailboxes: Vec<u8> = [None, Some("anna@contoso.example"), Some("me"), Some("ä")]
            .map(|owner| Shard::of_mailbox(integration, Uuid::from_u128(7), owner).get())
            .to_vec();
        assert_eq!(mailboxes, [28, 63, 60, 23]);
    }

    #[test]
    fn the_case_of_a_mailbox_does_not_count() {
        let of = |owner| {
            Shard::of_mailbox(
                IntegrationId::from(Ulid(1)),
                Uuid::from_u128(7),
                Some(owner),
            )
        };
        assert_eq!(of("Anna@Contoso.example"), of("anna@contoso.EXAMPLE"));
    }

    #[test]
    fn work_is_spread_over_all_shards() {
        let mut counts = [0_u32; 64];
        for number in 0..64_000 {
            // Ids of one moment differ in few of their last characters.
            let webhook = WebhookId::from(Ulid((1_700_000_000_000_u128 << 80) + number));
            counts[usize::from(Shard::of_webhook(webhook).get())] += 1;
        }
        let (least, most) = (counts.iter().min(), counts.iter().max());
        assert!(
            least >= Some(&700) && most <= Some(&1_300),
            "{least:?} to {most:?}"
        );
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let mut set: ShardSet = Shard::all().filter(|shard| shard.get() % 9 == 0).collect();
        let shard = |number| Shard::try_from(number).unwrap();
        set.remove(shard(0));
        set.insert(shard(63));
        let found: Vec<u8> = set.iter().map(Shard::get).collect();
        assert_eq!(found, [9, 18, 27, 36, 45, 54, 63]);
        assert_eq!((set.len(), set.contains(shard(9))), (7, true));
        assert_eq!(ShardSet::ALL.len(), u32::from(Shard::COUNT));
        assert_eq!(ShardSet::ALL.without(set).and(set), ShardSet::EMPTY);
        assert!(Shard::try_from(64).is_err());
    }
}
