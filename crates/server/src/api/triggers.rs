//! `GET /v1/triggers`: the table of triggers.

use axum::response::Response;
use tidings_domain::trigger;

use super::{
    list::{self, NoQuery},
    query::Query,
};

pub(crate) async fn list(Query(NoQuery {}): Query<NoQuery>) -> Response {
    list::table(trigger::all().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidings_domain::trigger;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn every_trigger_is_listed_with_what_it_means() {
        let api = Api::start().await;
        let body = api.admin().get("/v1/triggers").await.body;
        assert_eq!(
            body["data"].as_array().unwrap().len(),
            trigger::all().count()
        );
        let first = json!({ "trigger": "event.created", "description": "A calendar event was created in a mailbox." });
        assert_eq!(body["data"][0], first);
        assert_eq!(body["next_cursor"], json!(null));
    }
}
