//! One policy with one connection: who there is, page by page.
//!
//! Each page is recorded with what it led to, so that a pass goes on where it was cut off.

use std::sync::Arc;

use tidings_domain::{connection::Connection, policy::Expansion};
use tidings_graph::{
    CallError,
    client::{Access, DeltaAt, DeltaError, DeltaLink, ListAt, Next},
    resource::{DeltaRequest, Each, ListRequest, PolicyPath},
    wire::collection::Entry,
};
use tidings_storage::{
    Lease, StoreError,
    record::{DueExpansion, Expanded, ExpansionUpdate},
};

use super::{PolicyParts, member, schedule, wish::Wishes};
use crate::manage::connection::access;

/// The largest page that is read, in bytes: of a thousand users with the members that are asked for.
const PAGE_CAP: usize = 8 << 20;
/// How many users a page is to have. Graph takes it as a wish.
const PAGE_SIZE: u16 = 200;
/// How many rows one write marks to be removed.
const RETIRED_AT_ONCE: u32 = 500;

/// Why an expansion does not go on now.
enum Stopped {
    Graph(CallError),
    Store(StoreError),
    /// The shard is another node's.
    Lost,
}

impl From<CallError> for Stopped {
    fn from(error: CallError) -> Self {
        Self::Graph(error)
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Goes on with an expansion, and records where it is then.
pub(super) async fn turn(parts: &PolicyParts, due: DueExpansion) -> Result<(), StoreError> {
    let DueExpansion {
        policy,
        mut expansion,
        lease,
    } = due;
    if !parts.fence.allows(lease) {
        // The store may show it as ours for a moment yet.
        parts.clock.sleep(super::PAUSE).await;
        return Ok(());
    }
    let _hint = parts.subscribe.at_the_end();
    if policy.deleting {
        retire(parts, &expansion, u64::MAX, lease).await?;
        let ended = parts
            .store
            .end_expansion(expansion.policy, expansion.connection, lease);
        return ended.await;
    }
    let connection = parts.directory.connection(expansion.connection);
    let integration = parts.directory.integration_by_id(policy.integration);
    let path = PolicyPath::parse(&policy.resource);
    let (Some(connection), Some(integration), Ok(path)) = (connection, integration, path) else {
        // The directory has not heard of it yet, or the policy was made by a later version.
        expansion.due_at = parts.clock.now() + schedule::NOT_YET;
        return record(parts, expansion, lease).await.map(|_| ());
    };
    let mut pass = Pass {
        parts,
        access: access(&integration, connection.tenant_id.to_string()),
        wishes: Wishes::new(parts, &policy, &connection, &path),
        connection,
        path: &path,
        expansion,
        lease,
        going: 0,
    };
    let went = match path.each() {
        None => pass.the_only_one().await,
        Some(Each::Team) => pass.teams().await,
        Some(Each::User) => pass.users().await,
    };
    match went {
        Ok(()) | Err(Stopped::Lost) => Ok(()),
        Err(Stopped::Store(error)) => Err(error),
        Err(Stopped::Graph(error)) => pass.failed(&error).await,
    }
}

/// Marks all to be removed that no pass from this one on has shown.
async fn retire(
    parts: &PolicyParts,
    expansion: &Expansion,
    enumeration: u64,
    lease: Lease,
) -> Result<(), StoreError> {
    loop {
        let (policy, connection) = (expansion.policy, expansion.connection);
        let now = parts.clock.now();
        let retired = parts
            .store
            .retire_expanded(policy, connection, enumeration, now, RETIRED_AT_ONCE, lease)
            .await?;
        if retired < u64::from(RETIRED_AT_ONCE) {
            return Ok(());
        }
    }
}

/// Records how far an expansion is, and nothing else.
async fn record(
    parts: &PolicyParts,
    expansion: Expansion,
    lease: Lease,
) -> Result<Expanded, StoreError> {
    let update = ExpansionUpdate {
        expansion,
        wishes: Vec::new(),
        gone: Vec::new(),
        now: parts.clock.now(),
    };
    parts.store.record_expansion(update, lease).await
}

struct Pass<'a> {
    parts: &'a PolicyParts,
    access: Access,
    connection: Arc<Connection>,
    path: &'a PolicyPath,
    wishes: Wishes<'a>,
    expansion: Expansion,
    lease: Lease,
    /// How many could not be wished for yet since their rows are being removed.
    going: u64,
}

impl Pass<'_> {
    /// What is watched is one thing.
    async fn the_only_one(&mut self) -> Result<(), Stopped> {
        self.begin_again(None);
        let wish = self.wishes.of_all();
        self.page(vec![wish], Vec::new()).await?;
        self.end(None).await
    }

    /// All teams, listed from the start each time.
    async fn teams(&mut self) -> Result<(), Stopped> {
        self.begin_again(None);
        let first = ListRequest::teams();
        let mut at: Option<DeltaLink> = None;
        loop {
            self.may_go_on()?;
            let page = match &at {
                None => ListAt::Start(&first),
                Some(link) => ListAt::Link(link),
            };
            let page = self
                .parts
                .graph
                .list_page(&self.access, page, PAGE_CAP)
                .await;
            let page = self.noted(page).await?;
            if page.unreadable > 0 {
                // What is not on the list counts as gone.
                let detail = "an entry of the list of teams has no id".to_owned();
                return Err(CallError::Unavailable {
                    detail,
                    retry_after: None,
                }
                .into());
            }
            let wishes = page.entries.iter();
            let wishes = wishes.filter_map(|team| self.wishes.of(&team.id, &[]));
            let wishes = wishes.collect();
            self.page(wishes, Vec::new()).await?;
            match page.next {
                Some(next) => at = Some(next),
                None => return self.end(None).await,
            }
        }
    }

    /// Which users have come and gone; from time to time all of them.
    async fn users(&mut self) -> Result<(), Stopped> {
        let now = self.parts.clock.now();
        let whole_due = self
            .expansion
            .finished_at
            .is_none_or(|finished_at| now >= finished_at + self.parts.config.whole.0);
        if !self.expansion.enumerating && (whole_due || self.expansion.link.is_none()) {
            self.begin_again(None);
        }
        let first = DeltaRequest::users();
        loop {
            self.may_go_on()?;
            let link = self
                .expansion
                .link
                .as_deref()
                .and_then(|link| DeltaLink::parse(link, &self.access.graph_url).ok());
            let at = match &link {
                Some(link) => DeltaAt::Link(link),
                None => DeltaAt::Start(&first),
            };
            let graph = &self.parts.graph;
            let page = graph
                .delta_page(&self.access, at, Some(PAGE_SIZE), PAGE_CAP)
                .await;
            let page = match page {
                Ok(page) => self.noted(Ok(page)).await?,
                Err(DeltaError::Call(error)) => return Err(self.noted_error(error).await),
                Err(DeltaError::Resync { restart, code }) => {
                    if link.is_none() {
                        // Nothing was asked for that Graph could have forgotten.
                        let detail = format!(
                            "Graph wants a delta query begun again that has just begun ({code})"
                        );
                        return Err(CallError::Unavailable {
                            detail,
                            retry_after: None,
                        }
                        .into());
                    }
                    self.begin_again(restart.map(|link| link.as_str().to_owned()));
                    record(self.parts, self.expansion.clone(), self.lease).await?;
                    continue;
                }
            };
            let (wishes, gone) = self.judged(page.entries).await?;
            match page.next {
                Next::Page(link) => {
                    self.expansion.link = Some(link.as_str().to_owned());
                    self.page(wishes, gone).await?;
                }
                Next::Done(link) => {
                    // Its end is recorded only when also that is done which it has not shown.
                    self.page(wishes, gone).await?;
                    return self.end(Some(link.as_str().to_owned())).await;
                }
            }
        }
    }

    /// What a page of users wishes for, and what there is to be no more.
    async fn judged(
        &mut self,
        entries: Vec<Entry>,
    ) -> Result<(Vec<tidings_storage::record::Wish>, Vec<String>), Stopped> {
        let (mut wishes, mut gone) = (Vec::new(), Vec::new());
        for entry in member::last_of_each(entries) {
            let mut shown = member::read(&entry, self.path, self.expansion.enumerating);
            if shown == member::Shown::InPart {
                // A change tells what has changed: the rest has to be asked for.
                let item = member::item(&entry.id);
                shown = match item {
                    None => member::Shown::NotWatched,
                    Some(item) => {
                        self.may_go_on()?;
                        let graph = &self.parts.graph;
                        match graph.fetch(&self.access, &item, PAGE_CAP).await {
                            Ok(found) => member::read_whole(&found.object, self.path),
                            Err(CallError::NotFound) => member::Shown::Gone,
                            Err(error) => return Err(self.noted_error(error).await),
                        }
                    }
                };
            }
            match shown {
                member::Shown::Watched(aliases) => {
                    wishes.extend(self.wishes.of(&entry.id, &aliases));
                }
                member::Shown::NotWatched | member::Shown::InPart => {
                    if self.expansion.enumerating {
                        self.expansion.passed_over += 1;
                    }
                    gone.extend(self.wishes.resource(&entry.id));
                }
                member::Shown::Gone => gone.extend(self.wishes.resource(&entry.id)),
            }
        }
        Ok((wishes, gone))
    }

    fn begin_again(&mut self, link: Option<String>) {
        self.expansion.enumeration += 1;
        self.expansion.enumerating = true;
        self.expansion.passed_over = 0;
        self.expansion.link = link;
    }

    async fn page(
        &mut self,
        wishes: Vec<tidings_storage::record::Wish>,
        gone: Vec<String>,
    ) -> Result<(), Stopped> {
        let update = ExpansionUpdate {
            expansion: self.expansion.clone(),
            wishes,
            gone,
            now: self.parts.clock.now(),
        };
        let recorded = self
            .parts
            .store
            .record_expansion(update, self.lease)
            .await?;
        self.going += recorded.going;
        self.parts.subscribe.wake();
        Ok(())
    }

    /// All there are have been shown; `link` is where the next look goes on.
    async fn end(&mut self, link: Option<String>) -> Result<(), Stopped> {
        let parts = self.parts;
        let now = parts.clock.now();
        if self.expansion.enumerating {
            retire(
                parts,
                &self.expansion,
                self.expansion.enumeration,
                self.lease,
            )
            .await?;
            self.expansion.enumerating = false;
            self.expansion.finished_at = Some(now);
            tracing::info!(
                policy.id = %self.expansion.policy,
                connection.id = %self.expansion.connection,
                passed_over = self.expansion.passed_over,
                "a policy has been expanded"
            );
        }
        // Whose row is being removed gets another one when that has gone: only a whole pass shows them again.
        self.expansion.link = link.filter(|_| self.going == 0);
        self.expansion.checked_at = Some(now);
        self.expansion.failures = 0;
        self.expansion.last_error = None;
        self.expansion.due_at = if self.going > 0 {
            now + schedule::GOING
        } else {
            schedule::next(now, self.path.each(), &parts.config, &*parts.entropy)
        };
        record(parts, self.expansion.clone(), self.lease).await?;
        Ok(())
    }

    async fn failed(mut self, error: &CallError) -> Result<(), StoreError> {
        let parts = self.parts;
        let told = schedule::told(error, self.path.each());
        tracing::warn!(
            policy.id = %self.expansion.policy,
            connection.id = %self.expansion.connection,
            problem = told,
            "a policy cannot be expanded now: it goes on later"
        );
        self.expansion.failures = self.expansion.failures.saturating_add(1);
        self.expansion.last_error = Some(told);
        self.expansion.due_at = schedule::retry(
            parts.clock.now(),
            self.expansion.failures,
            error,
            &*parts.entropy,
        );
        record(parts, self.expansion, self.lease).await?;
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
        let credentials = &self.parts.credentials;
        credentials
            .note(&self.connection, answer.as_ref().err())
            .await;
        Ok(answer?)
    }

    async fn noted_error(&self, error: CallError) -> Stopped {
        let credentials = &self.parts.credentials;
        credentials.note(&self.connection, Some(&error)).await;
        error.into()
    }
}
