//! Fetching changed items, many in one call.

use http::Method;

use super::{GraphClient, MAX_PARTS, Part, PartAnswer};
use crate::{
    client::{Access, Fetched, fetch},
    error::CallError,
    resource::ItemPath,
};

impl GraphClient {
    /// Gets items as [`fetch`](GraphClient::fetch) does, many in one call, and gives them in the order of `items`.
    ///
    /// Each has at most `cap` bytes (`TooLarge` beyond). One that is too large costs the others nothing.
    pub async fn fetch_batch(
        &self,
        access: &Access,
        items: &[ItemPath],
        cap: usize,
    ) -> Vec<Result<Fetched, CallError>> {
        let mut fetched = Vec::with_capacity(items.len());
        // The last one is the next.
        let mut todo: Vec<&[ItemPath]> = items
            .chunk_by(|one, other| one.row().version == other.row().version)
            .flat_map(|items| items.chunks(MAX_PARTS))
            .collect();
        todo.reverse();
        while let Some(items) = todo.pop() {
            if let [item] = items {
                fetched.push(self.fetch(access, item, cap).await);
                continue;
            }
            let parts: Vec<Part> = items.iter().map(Part::get).collect();
            let parts: Vec<&Part> = parts.iter().collect();
            match self.one_batch(access, parts[0].version, &parts, cap).await {
                Ok(answers) => {
                    let read = |part: PartAnswer| fetch::read(part.body, &part.headers);
                    fetched.extend(answers.into_iter().map(|answer| answer.and_then(read)));
                }
                // One of them is, and the others have to be had without it.
                Err(CallError::TooLarge) => {
                    let (first, second) = items.split_at(items.len() / 2);
                    todo.extend([second, first]);
                }
                Err(error) => {
                    let left = items.len() + todo.iter().map(|items| items.len()).sum::<usize>();
                    fetched.extend(std::iter::repeat_n(Err(error), left));
                    break;
                }
            }
        }
        fetched
    }
}

impl Part {
    /// A GET of an item.
    pub fn get(item: &ItemPath) -> Self {
        let version = item.row().version;
        let path = item.request_path();
        let path = path
            .strip_prefix(version.as_str())
            .and_then(|path| path.strip_prefix('/'))
            .unwrap_or(&path);
        Self::new(version, Method::GET, path)
    }
}
