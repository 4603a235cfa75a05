//! Delta queries.

use tidings_domain::{Timestamp, reconcile::ReconcileScope};
use tidings_graph::{
    CallError,
    client::{DeltaAt, DeltaError, DeltaLink, Next},
    resource::{DeltaRequest, MailFolders},
};

use super::{
    PAGE_CAP, Round, Stopped,
    scope::{again, new_scope},
};
use crate::reconcile::{compare::Compared, window};

/// How many entries a page is to have. Graph takes it as a wish.
const PAGE_SIZE: u16 = 200;

impl Round<'_> {
    /// Each folder by itself; and what was in folders that are not there any more.
    pub(super) async fn mail_folders(
        &mut self,
        mailbox: &MailFolders,
    ) -> Result<Vec<String>, Stopped> {
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
    pub(super) async fn delta(
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
    pub(super) fn window(&self) -> (Timestamp, Timestamp) {
        let (now, config) = (self.parts.clock.now(), &self.parts.config);
        self.scopes
            .get("")
            .and_then(|scope| scope.window)
            .filter(|&old| window::still_does(old, now, config))
            .unwrap_or_else(|| window::around(now, config))
    }
}
