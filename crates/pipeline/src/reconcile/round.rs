//! One subscription, from where its round is to the end of it.
//!
//! Each page is recorded with what it led to, so that a round goes on where it was cut off.

use std::{collections::HashMap, sync::Arc};

use tidings_domain::{
    Timestamp,
    connection::Connection,
    notification::Origin,
    reconcile::{Reconcile, ReconcileReason, ReconcileScope},
    subscription::Subscription,
};
use tidings_graph::{
    CallError,
    client::{Access, DeltaAt, DeltaError, DeltaLink, Next},
    resource::{DeltaRequest, Enumeration, ItemPath, ListRequest, MailFolders, SubscriptionPath},
    wire::collection::Entry,
};
use tidings_storage::{
    Lease, StoreError,
    record::{KnownItem, ReconcilePage},
};

use super::{
    ReconcileParts,
    compare::{self, Compared, View},
    find::Finder,
    key,
    wanted::Wanted,
    window,
};
use crate::manage::connection::access;

/// The largest page that is read, in bytes. Of full mail messages with large bodies few fit.
const PAGE_CAP: usize = 32 << 20;
/// How many entries a page is to have. Graph takes it as a wish.
const PAGE_SIZE: u16 = 200;
/// How many items are looked at at once that an enumeration has not shown.
const NOT_SHOWN: u32 = 500;

/// Why a round does not go on now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// Graph.
    #[error(transparent)]
    Graph(#[from] CallError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shard is another node's.
    #[error("another node works on it now")]
    Lost,
    /// Somebody has wished the subscription away, or what it belongs to is not known yet.
    #[error("the subscription or its connection is not there")]
    Gone,
}

/// What a round works with.
pub(super) struct Round<'a> {
    parts: &'a ReconcileParts,
    subscription: Subscription,
    connection: Arc<Connection>,
    access: Access,
    path: SubscriptionPath,
    lease: Lease,
    /// What is there was there before everything.
    baseline: bool,
    origin: Origin,
    scopes: HashMap<String, ReconcileScope>,
    /// What the round has found.
    pub(super) finds: u64,
}

impl<'a> Round<'a> {
    pub(super) async fn new(
        parts: &'a ReconcileParts,
        state: &Reconcile,
        lease: Lease,
    ) -> Result<Self, Stopped> {
        let id = state.subscription;
        let subscription = parts.store.subscription(id).await?.ok_or(Stopped::Gone)?;
        let connection = parts
            .directory
            .connection(subscription.connection)
            .ok_or(Stopped::Gone)?;
        let integration = parts
            .directory
            .integration_by_id(subscription.integration)
            .ok_or(Stopped::Gone)?;
        let path = SubscriptionPath::parse(&subscription.resource).map_err(|_| Stopped::Gone)?;
        let scopes = parts.store.reconcile_scopes(id).await?;
        Ok(Self {
            parts,
            access: access(&integration, connection.tenant_id.to_string()),
            subscription,
            connection,
            path,
            lease,
            baseline: state.finished_at.is_none() && !state.deliver_existing,
            origin: match state.reason {
                ReconcileReason::Notified => Origin::Unnamed,
                _ => Origin::Reconcile,
            },
            scopes: scopes
                .into_iter()
                .map(|scope| (scope.name.clone(), scope))
                .collect(),
            finds: 0,
        })
    }

    /// Goes on to the end of the round. Gives the scopes that exist no more.
    pub(super) async fn run(&mut self) -> Result<Vec<String>, Stopped> {
        match self.path.enumeration() {
            Enumeration::Delta(request) => self.delta(String::new(), None, |_| request).await?,
            Enumeration::DeltaInWindow(request) => {
                let window = self.window();
                let first = move |(start, end)| request.within(start, end);
                self.delta(String::new(), Some(window), move |window| {
                    first(window.unwrap_or_default())
                })
                .await?;
            }
            Enumeration::DeltaPerMailFolder(folders) => return self.mail_folders(&folders).await,
            Enumeration::Listing(request) => self.listing(&request).await?,
            Enumeration::Single(item) => self.single(&item).await?,
            Enumeration::None { .. } => {}
        }
        Ok(Vec::new())
    }

    /// Each folder by itself; and what was in folders that are not there any more.
    async fn mail_folders(&mut self, mailbox: &MailFolders) -> Result<Vec<String>, Stopped> {
        self.may_go_on()?;
        let found = self.parts.graph.mail_folders(&self.access, mailbox).await;
        let folders = self.noted(found).await?;
        let mut gone: Vec<String> = self.scopes.keys().cloned().collect();
        gone.retain(|name| !folders.iter().any(|folder| folder.id == *name));
        for folder in folders {
            // Only a folder that Graph itself has named, so that the id can be put into a path.
            let Ok(request) = mailbox.messages(&folder.id) else {
                continue;
            };
            self.delta(folder.id, None, |_| request).await?;
        }
        for name in &gone {
            let scope = self.scopes[name].clone();
            self.not_shown(&again(scope, None)).await?;
        }
        Ok(gone)
    }

    /// A delta query, page by page.
    async fn delta(
        &mut self,
        name: String,
        window: Option<(Timestamp, Timestamp)>,
        first: impl FnOnce(Option<(Timestamp, Timestamp)>) -> DeltaRequest,
    ) -> Result<(), Stopped> {
        let mut scope = self.begin(name, window);
        let first = first(scope.window);
        loop {
            self.may_go_on()?;
            let link = scope
                .link
                .as_deref()
                .and_then(|link| DeltaLink::parse(link, &self.access.graph_url).ok());
            let at = match &link {
                Some(link) => DeltaAt::Link(link),
                None => DeltaAt::Start(&first),
            };
            let page = self
                .parts
                .graph
                .delta_page(&self.access, at, Some(PAGE_SIZE), PAGE_CAP)
                .await;
            let page = match page {
                Ok(page) => self.noted(Ok(page)).await?,
                Err(DeltaError::Call(error)) => return Err(self.noted_error(error).await),
                Err(DeltaError::Resync { restart, code }) => {
                    if link.is_none() {
                        // Nothing was asked for that Graph could have forgotten.
                        let error = CallError::Unavailable {
                            detail: format!(
                                "Graph wants a delta query begun again that has just begun ({code})"
                            ),
                            retry_after: None,
                        };
                        return Err(error.into());
                    }
                    tracing::info!(
                        subscription.id = %self.subscription.id,
                        code,
                        "Graph has forgotten how far it was asked: everything is enumerated again"
                    );
                    self.parts.metrics.resync();
                    scope = again(scope, restart.map(|link| link.as_str().to_owned()));
                    // Kept at once: a restart by a link of Graph's goes on with that link.
                    self.record(Compared::default(), scope.clone()).await?;
                    continue;
                }
            };
            if page.unreadable > 0 {
                tracing::warn!(
                    subscription.id = %self.subscription.id,
                    count = page.unreadable,
                    "Graph enumerates items without an id: they are passed over"
                );
            }
            let (next, done) = match page.next {
                Next::Page(link) => (link, false),
                Next::Done(link) => (link, true),
            };
            scope.link = Some(next.as_str().to_owned());
            let compared = self.compare(&scope, page.entries).await?;
            if !done {
                self.record(compared, scope.clone()).await?;
                continue;
            }
            // Its end is recorded only when also that is done which it has not shown.
            if scope.enumerating && scope.enumeration > 1 {
                let unfinished = ReconcileScope {
                    link: link.map(|link| link.as_str().to_owned()),
                    ..scope.clone()
                };
                self.record(compared, unfinished.clone()).await?;
                self.not_shown(&unfinished).await?;
                scope.enumerating = false;
                self.record(Compared::default(), scope).await?;
            } else {
                scope.enumerating = false;
                self.record(compared, scope).await?;
            }
            return Ok(());
        }
    }

    /// A list, which is always whole.
    async fn listing(&mut self, request: &ListRequest) -> Result<(), Stopped> {
        self.may_go_on()?;
        let listed = self.parts.graph.list(&self.access, request, PAGE_CAP).await;
        let entries = self.noted(listed).await?;
        self.whole(entries).await
    }

    /// The one object that is watched.
    async fn single(&mut self, item: &ItemPath) -> Result<(), Stopped> {
        self.may_go_on()?;
        let fetched = self.parts.graph.fetch(&self.access, item, PAGE_CAP).await;
        let entries = match fetched {
            Ok(fetched) => vec![Entry {
                id: key::of(item).to_owned(),
                removed: None,
                version: fetched.etag,
                occurrence_of: None,
                relationships_changed: false,
                object: fetched.object,
            }],
            Err(CallError::NotFound) => Vec::new(),
            Err(error) => return Err(self.noted_error(error).await),
        };
        self.whole(entries).await
    }

    /// Everything that there is, at once.
    async fn whole(&mut self, entries: Vec<Entry>) -> Result<(), Stopped> {
        let scope = match self.scopes.remove("") {
            Some(scope) => again(scope, None),
            None => new_scope(String::new(), None),
        };
        let compared = self.compare(&scope, entries).await?;
        self.record(compared, scope.clone()).await?;
        if scope.enumeration > 1 {
            self.not_shown(&scope).await?;
        }
        Ok(())
    }

    /// Where a scope is, or at its start.
    fn begin(&mut self, name: String, window: Option<(Timestamp, Timestamp)>) -> ReconcileScope {
        match self.scopes.remove(&name) {
            None => new_scope(name, window),
            Some(scope) if scope.window == window => scope,
            Some(scope) => ReconcileScope {
                window,
                ..again(scope, None)
            },
        }
    }

    /// The window of the calendar: the one there is for as long as it does.
    fn window(&self) -> (Timestamp, Timestamp) {
        let (now, config) = (self.parts.clock.now(), &self.parts.config);
        self.scopes
            .get("")
            .and_then(|scope| scope.window)
            .filter(|&old| window::still_does(old, now, config))
            .unwrap_or_else(|| window::around(now, config))
    }

    async fn compare(
        &self,
        scope: &ReconcileScope,
        mut entries: Vec<Entry>,
    ) -> Result<Compared, Stopped> {
        entries.retain_mut(|entry| match self.path.item(&entry.id) {
            Ok(item) => {
                key::of(&item).clone_into(&mut entry.id);
                true
            }
            Err(error) => {
                tracing::warn!(
                    subscription.id = %self.subscription.id,
                    %error,
                    "Graph enumerates an item whose id fits into no path: it is passed over"
                );
                false
            }
        });
        let ids = entries.iter().map(|entry| entry.id.clone()).collect();
        let id = self.subscription.id;
        let known = self.parts.store.known_items(id, ids).await?;
        let known: HashMap<String, KnownItem> = known
            .into_iter()
            .map(|item| (item.id.clone(), item))
            .collect();
        Ok(compare::shown(
            &self.view(&scope.name, scope.enumeration),
            entries,
            &known,
        ))
    }

    /// What is known of a scope and was not shown by an enumeration, to the end.
    async fn not_shown(&mut self, scope: &ReconcileScope) -> Result<(), Stopped> {
        let mut after = String::new();
        loop {
            self.may_go_on()?;
            let id = self.subscription.id;
            let missing = self
                .parts
                .store
                .items_not_shown(id, scope.name.clone(), scope.enumeration, after, NOT_SHOWN)
                .await?;
            let Some(last) = missing.last() else {
                return Ok(());
            };
            after = last.id.clone();
            let view = self.view(&scope.name, scope.enumeration);
            let compared = compare::not_shown(&view, missing);
            self.record(compared, scope.clone()).await?;
        }
    }

    fn view<'v>(&'v self, scope: &'v str, enumeration: u64) -> View<'v> {
        View {
            scope,
            enumeration,
            baseline: self.baseline,
            wanted: Wanted::new(&self.path, self.subscription.change_types),
        }
    }

    fn page(&self, compared: Compared, scope: ReconcileScope) -> ReconcilePage {
        let now = self.parts.clock.now();
        let finder = Finder {
            ids: &self.parts.ids,
            subscription: &self.subscription,
            connection: &self.connection,
            origin: self.origin,
            shard: self.lease.shard(),
        };
        let finds = compared.finds.into_iter().filter_map(|(id, change)| {
            // What is known by a key had a path once.
            let item = key::path(&self.path, &id).ok()?;
            Some(finder.notification(now, &item, change))
        });
        ReconcilePage {
            subscription: self.subscription.id,
            finds: finds.collect(),
            items: compared.items,
            forget: compared.forget,
            scope,
        }
    }

    /// Records what a part of an enumeration led to, and how far it is then.
    async fn record(&mut self, compared: Compared, scope: ReconcileScope) -> Result<(), Stopped> {
        let page = self.page(compared, scope);
        let finds = page.finds.len() as u64;
        self.parts
            .store
            .record_reconcile_page(page, self.lease)
            .await?;
        self.finds += finds;
        self.parts.metrics.page(finds);
        if finds > 0 {
            self.parts.enrich.wake();
        }
        Ok(())
    }

    /// Between two calls: whether this node is still to make them.
    fn may_go_on(&self) -> Result<(), Stopped> {
        if self.parts.fence.allows(self.lease) {
            Ok(())
        } else {
            Err(Stopped::Lost)
        }
    }

    async fn noted<T>(&self, answer: Result<T, CallError>) -> Result<T, Stopped> {
        self.note(answer.as_ref().err()).await;
        Ok(answer?)
    }

    async fn noted_error(&self, error: CallError) -> Stopped {
        self.note(Some(&error)).await;
        error.into()
    }

    async fn note(&self, error: Option<&CallError>) {
        self.parts.credentials.note(&self.connection, error).await;
    }
}

fn new_scope(name: String, window: Option<(Timestamp, Timestamp)>) -> ReconcileScope {
    ReconcileScope {
        name,
        link: None,
        enumeration: 1,
        enumerating: true,
        window,
    }
}

/// From the start once more.
fn again(scope: ReconcileScope, link: Option<String>) -> ReconcileScope {
    ReconcileScope {
        link,
        enumeration: scope.enumeration + 1,
        enumerating: true,
        ..scope
    }
}
