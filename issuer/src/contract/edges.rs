//! What the store promises about edges and their contacts.

use super::{NOW, RACERS};
use crate::{
    edge::{Contact, Edge, EdgeId, EdgeKey},
    key::PublicKey,
    store::{Store, StoreError},
};

pub(super) async fn edges(store: &dyn Store) {
    let (envoy, worker) = (edge("envoy"), edge("worker"));
    assert_eq!(store.edges().await.unwrap(), []);
    assert_eq!(store.edge(&envoy.id).await.unwrap(), None);
    assert!(!store.remove_edge(&envoy.name, NOW).await.unwrap());
    for edge in [&worker, &envoy] {
        store.create_edge(edge).await.unwrap();
        assert_eq!(store.edge(&edge.id).await.unwrap().as_ref(), Some(edge));
    }
    let namesake = edge("envoy");
    let refused = store.create_edge(&namesake).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists)));
    assert_eq!(store.edge(&namesake.id).await.unwrap(), None);
    assert_eq!(store.edges().await.unwrap(), [envoy.clone(), worker.clone()]);

    assert!(store.remove_edge(&envoy.name, NOW.plus(5)).await.unwrap());
    assert!(!store.remove_edge(&envoy.name, NOW.plus(6)).await.unwrap());
    let removed = Edge { removed_at: Some(NOW.plus(5)), ..envoy };
    assert_eq!(store.edge(&removed.id).await.unwrap().as_ref(), Some(&removed));
    assert_eq!(store.edges().await.unwrap(), std::slice::from_ref(&worker));
    // The name is free again, and the one who had it stays cut off.
    store.create_edge(&namesake).await.unwrap();
    assert_eq!(store.edges().await.unwrap(), [namesake.clone(), worker]);
    assert_eq!(store.edge(&removed.id).await.unwrap(), Some(removed));
    assert!(store.remove_edge(&namesake.name, NOW.plus(7)).await.unwrap());
}

pub(super) async fn contacts(store: &dyn Store) {
    let edge = edge("node");
    store.create_edge(&edge).await.unwrap();
    let (shop, blog) = ("shop".parse().unwrap(), "blog".parse().unwrap());
    let contact = |instance: u8, after, generation| Contact {
        edge: edge.id.clone(),
        domain: "shop".parse().unwrap(),
        instance: format!("{instance:016x}"),
        at: NOW.plus(after),
        generation,
    };
    assert_eq!(store.contacts(&shop).await.unwrap(), []);
    for recorded in [contact(2, 0, None), contact(1, 0, Some(1)), contact(2, 1, Some(3))] {
        store.record_contact(&recorded).await.unwrap();
    }
    let expected = [contact(1, 0, Some(1)), contact(2, 1, Some(3))];
    assert_eq!(store.contacts(&shop).await.unwrap(), expected);
    assert_eq!(store.contacts(&blog).await.unwrap(), []);
    // One that was under way for long is older than what is known.
    store.record_contact(&contact(2, 0, Some(2))).await.unwrap();
    assert_eq!(store.contacts(&shop).await.unwrap(), expected);
    store.record_contact(&contact(2, 2, None)).await.unwrap();
    let expected = [contact(1, 0, Some(1)), contact(2, 2, None)];
    assert_eq!(store.contacts(&shop).await.unwrap(), expected);
    let elsewhere = Contact { domain: blog.clone(), ..contact(1, 0, Some(9)) };
    store.record_contact(&elsewhere).await.unwrap();
    assert_eq!(store.contacts(&blog).await.unwrap(), [elsewhere]);
    for instance in 3..RACERS {
        store.record_contact(&contact(instance, 0, Some(1))).await.unwrap();
    }
    assert_eq!(store.contacts(&shop).await.unwrap().len(), usize::from(RACERS) - 1);
    assert!(store.remove_edge(&edge.name, NOW).await.unwrap());
    assert_eq!(store.contacts(&shop).await.unwrap(), []);
}

/// An edge that nobody has the keys of.
fn edge(name: &str) -> Edge {
    let key = |id: &str| EdgeKey {
        id: id.to_owned(),
        public: PublicKey::EllipticCurve {
            crv: "P-256".to_owned(),
            x: format!("x of {id}"),
            y: format!("y of {id}"),
        },
    };
    Edge {
        id: EdgeId::random(),
        name: name.parse().unwrap(),
        domains: vec!["blog".parse().unwrap(), "shop".parse().unwrap()],
        signing_key: key("signing"),
        encryption_key: key("encryption"),
        push_url: (name == "worker").then(|| "https://worker.example.com/push".parse().unwrap()),
        created_at: NOW,
        removed_at: None,
    }
}
