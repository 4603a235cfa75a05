//! Delta queries, followed to their end.

use http::{Method, StatusCode};
use serde_json::Value;

use super::{Answered, Graph};

/// One round of a delta query.
#[derive(Debug)]
pub(crate) struct Round {
    /// Everything that was told, in its order.
    pub(crate) told: Vec<Value>,
    /// How many changes each page held.
    pub(crate) pages: Vec<usize>,
    /// Where the next round begins.
    pub(crate) link: String,
}

impl Graph {
    /// A call to Graph in the first tenant, with what the client would like.
    pub(crate) async fn get_preferring(&self, path: &str, prefer: &str) -> Answered {
        let bearer = format!("Bearer {}", self.token(0).await);
        let path = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("/v1.0/{path}")
        };
        let headers = [("authorization", &*bearer), ("prefer", prefer)];
        self.send(Method::GET, &path, &headers, "").await.unwrap()
    }

    /// Follows a delta query from `path` to the link for the next round.
    pub(crate) async fn round(&self, path: &str) -> Round {
        self.round_preferring(path, "").await
    }

    pub(crate) async fn round_preferring(&self, path: &str, prefer: &str) -> Round {
        let mut round = Round {
            told: Vec::new(),
            pages: Vec::new(),
            link: path.to_owned(),
        };
        loop {
            let answer = self.get_preferring(&round.link, prefer).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let page = answer.json();
            let values = page["value"].as_array().unwrap();
            round.pages.push(values.len());
            round.told.extend(values.iter().cloned());
            let ended = page.get("@odata.deltaLink");
            let link = ended.unwrap_or(&page["@odata.nextLink"]).as_str().unwrap();
            assert!(link.starts_with(&format!("{}/v1.0/", self.url)), "{link}");
            link.clone_into(&mut round.link);
            if ended.is_some() {
                return round;
            }
        }
    }
}

impl Round {
    /// One member of everything that was told.
    pub(crate) fn all(&self, member: &str) -> Vec<&Value> {
        self.told.iter().map(|one| &one[member]).collect()
    }
}

/// The id of an item.
pub(crate) fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap()
}

/// Why an entity was removed.
pub(crate) fn reason(told: &Value) -> Option<&str> {
    told["@removed"]["reason"].as_str()
}
