//! What Graph gives all at once: a list, or the one object that is watched.

use tidings_graph::{
    CallError,
    resource::{ItemPath, ListRequest},
    wire::collection::Entry,
};

use super::{
    PAGE_CAP, Round, Stopped,
    scope::{again, new_scope},
};
use crate::{members, reconcile::key};

impl Round<'_> {
    /// A list, which is always whole.
    pub(super) async fn listing(&mut self, request: &ListRequest) -> Result<(), Stopped> {
        self.may_go_on()?;
        let listed = self.parts.graph.list(&self.access, request, PAGE_CAP).await;
        let entries = self.noted(listed).await?;
        self.whole(entries).await
    }

    /// The one object that is watched.
    pub(super) async fn single(&mut self, item: &ItemPath) -> Result<(), Stopped> {
        self.may_go_on()?;
        let fetched = self.parts.graph.fetch(&self.access, item, PAGE_CAP).await;
        let entries = match fetched {
            Ok(fetched) => {
                let (graph, access) = (&self.parts.graph, &self.access);
                // The same that enrich makes of it.
                let members = members::version(graph, access, &self.path, item, &fetched.object);
                vec![Entry {
                    id: key::of(item).to_owned(),
                    removed: None,
                    version: fetched.etag.or(self.noted(members.await).await?),
                    occurrence_of: None,
                    object: fetched.object,
                }]
            }
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
}
