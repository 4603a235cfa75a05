//! Which of the forms and behaviours seen in the field apply.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which of the forms and behaviours seen in the field apply. The defaults are the commonest.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent switch of the control API"
)]
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Whether notifications carry an `id`. Microsoft's webhook page shows one, its Outlook pages do not.
    pub notification_id: bool,
    /// The offset of `subscriptionExpirationDateTime` in minutes; `None` writes `Z`, 0 writes `+00:00`.
    pub date_offset_minutes: Option<i32>,
    /// How words are cased in `resource` and `resourceData`.
    pub casing: Casing,
    /// How `resource` and `@odata.id` are written.
    pub path_form: PathForm,
    /// Whether items and the collection carry members that no page describes.
    pub unknown_members: bool,
    /// Whether `changeType` is the sentinel `unknownFutureValue`.
    pub unknown_change_type: bool,
    /// Whether notifications of groups tell who came and who went (`members@delta`), as seen in the field.
    pub group_members: bool,
    /// Whether `resourceData` is null for everything, as it always is for drives.
    pub null_resource_data: bool,
    /// Whether `resourceData` lacks `@odata.etag`.
    pub without_etag: bool,
    /// Whether the notification URL is validated at each renewal too (reported in the field in 2026).
    pub validate_at_renewal: bool,
    /// Whether a dropped Outlook notification leads to a `missed` lifecycle notification.
    pub missed_after_drop: bool,
    /// Before what `reauthorizationRequired` is sent for subscriptions that are made from now on. Off, so that a test hears
    /// only what it asks for; the control API sends one at any time.
    pub challenges: Challenges,
    /// Whether faults that drop, double, delay or shuffle notifications hit lifecycle notifications, too. Off, so that a test that
    /// drops notifications hears of it.
    pub lifecycle_faults: bool,
    /// What becomes of notifications while a subscription is not authorized: its token has expired, or an administrator took
    /// access away. Never, since app-only subscriptions that are renewed but weekly live well in the field.
    pub pause: Pause,
    /// How long after its token has expired a subscription is still notified, in seconds: Microsoft says "for a while".
    pub pause_grace_seconds: u64,
    /// How long Graph takes tokens after an administrator took access away, in seconds.
    pub revocation_seconds: u64,
    /// Whether the answers of a batch come in an order that the seed decides, rather than in that in which the parts ended:
    /// Microsoft promises none.
    pub shuffled_batches: bool,
    /// Longest lives that replace the real ones, in minutes, by kind of resource: `{"event": 60}`.
    pub maxima_minutes: BTreeMap<String, u32>,
    /// How long delta queries do not know of changes that are made from now on, in seconds: the delay of replication.
    pub delta_lag_seconds: u64,
    /// How many changes one page of a delta query holds at most, whatever the client prefers; 0 leaves it to the client.
    pub delta_page: usize,
    /// Whether delta queries give only the id and the changed members of what the client knows, which is all that is
    /// promised.
    pub delta_sparse: bool,
    /// Whether the first round of a delta query tells of what was removed before it, as Microsoft says it can.
    pub delta_early_removals: bool,
    /// Whether `calendarView/delta` says changes outside of its window as removals, as Microsoft says it does.
    pub delta_outside_window: bool,
    /// How long links of delta queries on the directory live, in seconds: 7 days.
    pub delta_directory_seconds: u64,
    /// Whether the truth that is kept calls Outlook items by their immutable ids.
    pub truth_immutable_ids: bool,
    /// How many subscriptions one page of `GET /subscriptions` holds.
    pub subscription_page: usize,
    /// How long access tokens live, in seconds.
    pub token_seconds: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            notification_id: false,
            date_offset_minutes: None,
            casing: Casing::Documented,
            path_form: PathForm::Segments,
            unknown_members: false,
            unknown_change_type: false,
            group_members: true,
            null_resource_data: false,
            without_etag: false,
            validate_at_renewal: false,
            missed_after_drop: true,
            challenges: Challenges::Off,
            lifecycle_faults: false,
            pause: Pause::Never,
            pause_grace_seconds: 0,
            revocation_seconds: 0,
            shuffled_batches: true,
            maxima_minutes: BTreeMap::new(),
            delta_lag_seconds: 0,
            delta_page: 0,
            delta_sparse: false,
            delta_early_removals: false,
            delta_outside_window: true,
            delta_directory_seconds: 604_800,
            truth_immutable_ids: false,
            subscription_page: 100,
            token_seconds: 3_599,
        }
    }
}

/// Before what `reauthorizationRequired` is sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenges {
    /// Both ends.
    Both,
    /// The end of the subscription.
    End,
    /// Nothing.
    #[default]
    Off,
    /// The end of the access token that the subscription was made, renewed or reauthorized with.
    Token,
}

/// What becomes of notifications while a subscription is not authorized.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// They are held until it is, for up to 4 hours.
    Hold,
    /// They are lost.
    Lose,
    /// They are sent.
    #[default]
    Never,
}

/// How words are cased in `resource` and `resourceData`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Casing {
    /// `Users/…/Messages/…` and `#Microsoft.Graph.Message`.
    Documented,
    /// `users/…/messages/…` and `#microsoft.graph.message`.
    Lower,
    /// `USERS/…/MESSAGES/…` and `#MICROSOFT.GRAPH.MESSAGE`: never seen, but ids apart, Graph's paths know no case.
    Upper,
}

/// How `resource` and `@odata.id` are written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathForm {
    /// `Users('{user}')/Messages('{id}')`.
    Quoted,
    /// `Users/{user}/Messages/{id}`.
    Segments,
    /// `Users/{user}@{tenant}/Messages/{id}`.
    UserAtTenant,
}
