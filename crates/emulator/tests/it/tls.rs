//! Everything under a certificate authority of the emulator's own.

use bytes::Bytes;
use http::{Method, StatusCode};
use tidings_egress::EgressError;
use tidings_emulator::Authority;
use tokio::net::TcpListener;

use crate::kit::{Graph, client, send};

#[tokio::test]
async fn who_trusts_the_authority_is_served_and_links_lead_back_over_tls() {
    let graph = Graph::start().await;
    let authority = Authority::new(&["graph.test.example".to_owned()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let calls = async {
        let stranger = send(&client(&[]), Method::GET, &url, &[], Bytes::new()).await;
        assert!(
            matches!(stranger, Err(EgressError::Tls { .. })),
            "{stranger:?}"
        );
        let friend = client(&[authority.ca_pem().as_bytes().to_vec()]);
        let bearer = format!("Bearer {}", graph.token(0).await);
        let list = format!("{url}/v1.0/users?$top=1");
        let headers = [("authorization", &*bearer)];
        let answer = send(&friend, Method::GET, &list, &headers, Bytes::new())
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let next = answer.json()["@odata.nextLink"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(next, format!("{url}/v1.0/users?$top=1&$skip=1"));
    };
    tokio::select! {
        () = calls => {}
        ended = graph.emulator.serve(listener, Some(&authority), std::future::pending()) => panic!("{ended:?}"),
    }
    graph.stop().await;
}
