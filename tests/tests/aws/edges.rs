//! Edges on DynamoDB and Secrets Manager: where they lie, what may be lost, and who may write them.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::alg::{Es256, SigningKey};
use jwt_compact::{Algorithm, AlgorithmSignature};
use postern_issuer::{Clock, Contact, Edge, Enrolment, Rotation, Store, StoreError, SystemClock};
use postern_tests::{Fault, FaultProxy, Issuer, MiniStack, Request, base64url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::service::Service;
use crate::shop::{NOW, domain};
use crate::table::Table;

type EsKey = <Es256 as Algorithm>::SigningKey;

const ISSUER: &str = "https://auth.example.com/shop";
/// For how long a contact is kept.
const KEPT: u64 = 25 * 60 * 60;

/// An edge and its credential, enrolled by an operator of that service.
async fn enrol(service: &Service, name: &str) -> (Edge, Value) {
    let enrolment = Enrolment {
        name: name.parse().unwrap(),
        domains: vec!["shop".parse().unwrap()],
        issuer_url: "https://auth.example.com".parse().unwrap(),
        push_url: Some("https://worker.example.com/push".parse().unwrap()),
    };
    let (edge, credential) = service.ports.enrol_edge(enrolment).await.unwrap();
    (edge, serde_json::from_slice(credential.expose()).unwrap())
}

fn assertion(credential: &Value, held: Option<&str>) -> String {
    let key = &credential["keys"][0];
    let secret = Base64UrlUnpadded::decode_vec(key["d"].as_str().unwrap()).unwrap();
    let private = <EsKey as SigningKey<Es256>>::from_slice(&secret).unwrap();
    let now = SystemClock.now().0;
    let mut claims = json!({
        "iss": credential["edge"],
        "sub": credential["edge"],
        "aud": credential["issuers"][0]["issuer"],
        "iat": now,
        "exp": now + 60,
        "instance": "00112233445566aa",
    });
    if let Some(held) = held {
        claims["held"] = held.into();
    }
    let header = json!({ "alg": "ES256", "kid": key["kid"], "typ": "postern-edge+jwt" });
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature = base64url(Es256.sign(&private, signed.as_bytes()).as_bytes());
    format!("{signed}.{signature}")
}

fn lose_next(proxy: &FaultProxy, operation: &'static str) {
    proxy.pass();
    proxy.fail(operation, 1, Fault::LoseAnswer);
}

/// What the function's role allows, and not more: it writes contacts, and neither edges nor domains.
#[tokio::test]
async fn to_hand_out_keys_takes_reads_and_a_write_of_one_contact() {
    Table::run_with_faults(|table, proxy| async move {
        let operator = Service::on(table.store(), Arc::new(SystemClock));
        operator.create_domain("shop").await;
        let (edge, credential) = enrol(&operator, "worker").await;
        assert_eq!(credential["issuers"][0]["issuer"], ISSUER);
        let store = table.store_behind(&proxy).await;
        let service = operator.beside(store, Arc::new(SystemClock));
        proxy.pass();
        let path = "/shop/edge/keys";
        let first = service.get(path, &assertion(&credential, None)).await;
        assert_eq!(first.status, 200);
        let etag = first.headers["etag"].to_str().unwrap();
        for _ in 0..3 {
            let again = service.get(path, &assertion(&credential, Some(etag))).await;
            assert_eq!(again.status, 200);
        }
        for (operation, request) in proxy.seen() {
            if operation != "GetItem" {
                let key = request["Key"]["pk"]["S"].as_str().unwrap();
                assert_eq!((operation.as_str(), key), ("UpdateItem", "contacts#shop"));
            }
        }
        assert_eq!(proxy.requests("UpdateItem"), 2, "it holds nothing, then this; no more is news");
        let operations: BTreeSet<_> = proxy.seen().into_iter().map(|(name, _)| name).collect();
        assert_eq!(operations, ["GetItem", "UpdateItem"].map(str::to_owned).into());
        operator.ports.remove_edge(&edge.name).await.unwrap();
        service.get(path, &assertion(&credential, None)).await.assert_refused(410, "Edge removed");
    })
    .await;
}

/// An operator sees who holds the next key by what other processes have written.
#[tokio::test]
async fn a_rotation_is_proven_by_contacts_in_the_table() {
    Table::run(|table| async move {
        let operator = Service::on(table.store(), Arc::new(SystemClock));
        operator.create_domain("shop").await;
        let (_, credential) = enrol(&operator, "worker").await;
        let service = operator.beside(table.store(), Arc::new(SystemClock));
        let shop = "shop".parse().unwrap();
        operator.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap();
        let path = "/shop/edge/keys";
        let first = service.get(path, &assertion(&credential, None)).await;
        let refused = operator.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap_err();
        assert!(refused.to_string().contains("edge `worker` is late"), "{refused}");
        let etag = first.headers["etag"].to_str().unwrap();
        service.get(path, &assertion(&credential, Some(etag))).await;
        let rotated = operator.ports.rotate_keys(&shop, Rotation::Regular).await.unwrap();
        assert_eq!(rotated.generation, 3);
    })
    .await;
}

#[tokio::test]
async fn edges_and_contacts_lie_where_the_layout_says() {
    Table::run(|table| async move {
        let service = Service::on(table.store(), Arc::new(SystemClock));
        service.create_domain("shop").await;
        let (edge, credential) = enrol(&service, "worker").await;
        let id = edge.id.as_str();
        let item = table.item(["edges", &format!("edge#{id}")]).await.unwrap();
        for secret in [&credential["keys"][0]["d"], &credential["keys"][1]["d"]] {
            assert!(!format!("{item:?}").contains(secret.as_str().unwrap()));
        }
        let name = table.item(["edges", "name#worker"]).await.unwrap();
        assert_eq!(name["edge"], AttributeValue::S(id.to_owned()));
        let contact = contact(&edge, 1);
        service.ports.store.record_contact(&contact).await.unwrap();
        let key = format!("{id}#{}", contact.instance);
        let item = table.item(["contacts#shop", &key]).await.unwrap();
        assert_eq!(item["ttl"], AttributeValue::N((NOW.0 + KEPT).to_string()));
        assert_eq!(item["generation"], AttributeValue::N("3".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn lists_of_many_pages_are_whole() {
    Table::run(|table| async move {
        let store = table.store();
        store.create_domain(&domain("shop")).await.unwrap();
        let service = Service::on(store.clone(), Arc::new(SystemClock));
        let mut edges = Vec::new();
        for number in 0..8 {
            edges.push(enrol(&service, &format!("edge-{number}")).await.0);
        }
        for edge in &edges {
            for instance in 0..15 {
                store.record_contact(&contact(edge, instance)).await.unwrap();
            }
        }
        let store = (*store).clone().in_pages_of(7);
        assert_eq!(store.edges().await.unwrap(), edges);
        assert_eq!(store.contacts(&"shop".parse().unwrap()).await.unwrap().len(), 120);
    })
    .await;
}

#[tokio::test]
async fn what_was_written_without_an_answer_is_there_once() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        store.create_domain(&domain("shop")).await.unwrap();
        let service = Service::on(table.store(), Arc::new(SystemClock));
        let (sample, _) = enrol(&service, "sample").await;
        let named = |name: &str| Edge {
            id: postern_issuer::EdgeId::random(),
            name: name.parse().unwrap(),
            ..sample.clone()
        };
        for (name, operation) in [("put", "PutItem"), ("update", "UpdateItem")] {
            let edge = named(name);
            lose_next(&proxy, operation);
            store.create_edge(&edge).await.unwrap();
            assert_eq!(proxy.requests(operation), 2);
            let again = store.create_edge(&named(name)).await;
            assert!(matches!(again, Err(StoreError::AlreadyExists)));
            assert_eq!(store.edge(&edge.id).await.unwrap().as_ref(), Some(&edge));
            lose_next(&proxy, "UpdateItem");
            let contact = contact(&edge, 1);
            store.record_contact(&contact).await.unwrap();
            assert_eq!(store.contacts(&contact.domain).await.unwrap(), [contact]);
            lose_next(&proxy, "UpdateItem");
            assert!(store.remove_edge(&edge.name, NOW).await.unwrap());
            assert!(!store.remove_edge(&edge.name, NOW).await.unwrap());
            assert_eq!(store.edge(&edge.id).await.unwrap().unwrap().removed_at, Some(NOW));
            store.create_edge(&named(name)).await.unwrap();
        }
        assert_eq!(store.edges().await.unwrap().len(), 3);
        assert_eq!(store.contacts(&"shop".parse().unwrap()).await.unwrap(), []);
    })
    .await;
}

/// An enrolment that came no further than the edge's own item.
#[tokio::test]
async fn an_edge_that_no_name_leads_to_is_not_enrolled() {
    Table::run_with_faults(|table, proxy| async move {
        let store = table.store_behind(&proxy).await;
        store.create_domain(&domain("shop")).await.unwrap();
        let service = Service::on(table.store(), Arc::new(SystemClock));
        let (sample, _) = enrol(&service, "sample").await;
        let name = "half".parse().unwrap();
        let half = Edge { id: postern_issuer::EdgeId::random(), name, ..sample.clone() };
        proxy.fail("UpdateItem", usize::MAX, Fault::HangUp);
        assert!(store.create_edge(&half).await.is_err());
        proxy.mend();
        assert_eq!(store.edges().await.unwrap(), [sample]);
        let whole = Edge { id: postern_issuer::EdgeId::random(), ..half };
        store.create_edge(&whole).await.unwrap();
        assert_eq!(store.edges().await.unwrap().len(), 2);
    })
    .await;
}

/// The whole of it, by the command and a server on the same data: the keys of bundles are a secret of
/// their own, which no domain can be called.
#[tokio::test]
async fn edges_are_administered_and_served_on_aws() {
    let stack = MiniStack::start().await.unwrap();
    let mut variables = stack.environment().to_vec();
    variables.push(("POSTERN_TABLE", "postern".to_owned()));
    variables.push(("POSTERN_SECRET_PREFIX", "postern/test/".to_owned()));
    let folder = TempDir::new().unwrap();
    let mut issuer = Issuer::on_aws(folder.path(), variables).unwrap();
    let run = |issuer: &Issuer, arguments: &[&str]| issuer.postern(arguments, "").unwrap();
    run(&issuer, &["table", "create"]);
    run(&issuer, &["domain", "create", "shop", "--alg", "HS256"]);
    let url = issuer.url();
    let enrol = ["edge", "enrol", "worker", "--domain", "shop", "--issuer-url", &url];
    let credential: Value = serde_json::from_str(&run(&issuer, &enrol)).unwrap();
    issuer.start().await.unwrap();
    let poll = async |held: Option<&str>| {
        let request = Request::get("/shop/edge/keys").bearer(&assertion(&credential, held));
        issuer.client().send(request.header("if-none-match", held.unwrap_or("\"\""))).await.unwrap()
    };
    let first = poll(None).await;
    assert_eq!((first.status, first.header("content-type")), (200, "application/jose"));
    assert_eq!(poll(Some(first.header("etag"))).await.status, 304);
    let status = || -> Value {
        serde_json::from_str(&run(&issuer, &["keys", "status", "shop", "--json"])).unwrap()
    };
    let first_status = status();
    let edge = &first_status["edges"][0];
    assert_eq!((&edge["state"], &edge["generation"]), (&json!("holds next"), &json!(1)));
    assert_eq!(first_status["rotation"]["allowed"], true);

    run(&issuer, &["keys", "rotate", "shop"]);
    // The server may go on with what it remembers for some seconds, unless the domain says that it
    // has been left behind: which it does.
    let second = poll(Some(first.header("etag"))).await;
    assert_eq!(second.status, 200);
    assert!(second.header("etag").starts_with("\"2."), "{}", second.header("etag"));
    assert_eq!(poll(Some(second.header("etag"))).await.status, 304);
    let shown = status();
    assert_eq!(shown["edges"][0]["state"], "holds next", "{shown}");
    assert_eq!(shown["rotation"]["proven"], false, "a process may not have heard of it: {shown}");
    assert!(issuer.postern(&["keys", "rotate", "shop"], "").is_err());
    run(&issuer, &["edge", "remove", "worker"]);
    assert_eq!(poll(None).await.status, 410);
    let log = issuer.log();
    for key in [&credential["keys"][0]["d"], &credential["keys"][1]["d"]] {
        assert!(!log.contains(key.as_str().unwrap()));
    }
}

fn contact(edge: &Edge, instance: u8) -> Contact {
    Contact {
        edge: edge.id.clone(),
        domain: "shop".parse().unwrap(),
        instance: format!("{instance:016x}"),
        at: NOW,
        generation: Some(3),
    }
}
