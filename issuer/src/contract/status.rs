//! Status lists: places, revocations and from when on tokens count.

use std::{collections::BTreeSet, sync::Arc};

use super::{NOW, RACERS, at, domain, read, user};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    session::{EndReason, RefreshHash, Session},
    status_list::StatusPlace,
    store::Store,
    user::User,
};

/// Works in domains of its own.
pub(super) async fn status(store: Arc<dyn Store>) {
    for name in ["lists", "others"] {
        store.create_domain(&domain(name)).await.unwrap();
        store.create_user(&user(name, "ada")).await.unwrap();
        store.create_user(&user(name, "bob")).await.unwrap();
    }
    no_two_sessions_share_a_place(Arc::clone(&store)).await;
    ended_sessions_are_revoked(&*store).await;
    who_ends_a_session_revokes_it_once(Arc::clone(&store)).await;
    the_greatest_not_before_counts(&*store).await;
    tokens_of_clocks_that_are_ahead_are_cut_off_too(&*store).await;
    disabled_users_are_cut_off(&*store).await;
}

async fn no_two_sessions_share_a_place(store: Arc<dyn Store>) {
    let (lists, others) = (name("lists"), name("others"));
    assert_eq!(store.status_lists(&lists).await.unwrap(), 0);
    let allocations: Vec<_> = (0..RACERS)
        .map(|_| {
            let (store, lists) = (Arc::clone(&store), lists.clone());
            tokio::spawn(async move { store.allocate_status(&lists).await.unwrap() })
        })
        .collect();
    let mut places = BTreeSet::new();
    for allocation in allocations {
        places.insert(allocation.await.unwrap());
    }
    assert_eq!(places.len(), usize::from(RACERS));
    assert!(places.iter().all(|place| place.list == 0 && place.index < 1 << 20));
    let indices: Vec<_> = places.iter().map(|place| place.index).collect();
    let apart = |pair: &[u32]| matches!(pair, [one, next] if next - one > 1);
    assert!(indices.windows(2).any(apart), "{indices:?}");
    assert_eq!(store.status_lists(&lists).await.unwrap(), 1);
    assert_eq!(store.status_lists(&others).await.unwrap(), 0);
}

async fn ended_sessions_are_revoked(store: &dyn Store) {
    let ada = user("lists", "ada");
    let (one, two) = (begin(store, &ada).await, begin(store, &ada).await);
    let (place, other) = (one.status.unwrap(), two.status.unwrap());
    assert_eq!(read(store, &one).await, one);
    assert_eq!(revoked(store, "lists", 0, Timestamp(0)).await, []);
    let version = store.status_version(&ada.domain).await.unwrap();

    assert!(store.end_session(&one, EndReason::Logout, NOW.plus(1)).await.unwrap());
    assert!(!store.end_session(&one, EndReason::Reuse, NOW.plus(2)).await.unwrap());
    assert!(store.end_session(&two, EndReason::Reuse, NOW.plus(10)).await.unwrap());
    let mut both = vec![(place.index, NOW.plus(1)), (other.index, NOW.plus(10))];
    both.sort_unstable();
    for (after, expected) in [(0, &both[..]), (1, &both), (2, &[(other.index, NOW.plus(10))])] {
        assert_eq!(revoked(store, "lists", 0, NOW.plus(after)).await, expected);
    }
    assert_eq!(revoked(store, "lists", 0, Timestamp(0)).await, both);
    assert_eq!(revoked(store, "lists", 0, NOW.plus(11)).await, []);
    assert_eq!(revoked(store, "lists", 1, Timestamp(0)).await, []);
    assert_eq!(revoked(store, "others", 0, Timestamp(0)).await, []);
    assert_ne!(store.status_version(&ada.domain).await.unwrap(), version);
    assert_eq!(store.status_version(&name("others")).await.unwrap(), 0);

    // One of before there were lists ends as it did.
    let (old, _) = Session::start(&ada, NOW, 600);
    assert!(store.create_session(&old).await.unwrap());
    assert!(store.end_session(&old, EndReason::Logout, NOW.plus(1)).await.unwrap());
    assert_eq!(read(store, &old).await.status, None);
    // One that is over is not revoked: its tokens are over, too.
    let late = begin(store, &ada).await;
    assert!(!store.end_session(&late, EndReason::Logout, NOW.plus(600)).await.unwrap());
    assert_eq!(revoked(store, "lists", 0, Timestamp(0)).await, both);
}

async fn who_ends_a_session_revokes_it_once(store: Arc<dyn Store>) {
    let session = begin(&*store, &user("others", "ada")).await;
    let ends: Vec<_> = (0..RACERS)
        .map(|racer| {
            let (store, session) = (Arc::clone(&store), session.clone());
            let moment = NOW.plus(racer.into());
            tokio::spawn(async move {
                let ended = store.end_session(&session, EndReason::Logout, moment).await;
                ended.unwrap().then_some(moment)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for end in ends {
        winners.extend(end.await.unwrap());
    }
    let place = session.status.unwrap();
    let revoked = revoked(&*store, "others", place.list, Timestamp(0)).await;
    let winners: Vec<_> = winners.into_iter().map(|moment| (place.index, moment)).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(revoked, winners);
}

async fn the_greatest_not_before_counts(store: &dyn Store) {
    let (lists, ada, bob) = (name("lists"), "lists-ada", "lists-bob");
    let nothing = store.not_before(&lists, Timestamp(0)).await.unwrap();
    assert_eq!((nothing.all, nothing.subjects.len()), (None, 0));
    assert_eq!(store.not_before_of(&lists, ada).await.unwrap(), Timestamp(0));
    for (subject, after, version) in [
        (Some(ada), 1000, 1),
        (Some(ada), 900, 2),
        (None, 1100, 3),
        (None, 1050, 4),
        (Some(ada), 1200, 5),
        (Some(bob), 1010, 6),
    ] {
        let before = store.status_version(&lists).await.unwrap();
        store.raise_not_before(&lists, subject, NOW.plus(after)).await.unwrap();
        let changed = store.status_version(&lists).await.unwrap() != before;
        assert!(changed, "call {version} shows");
    }
    let known = store.not_before(&lists, Timestamp(0)).await.unwrap();
    assert_eq!(known.all, Some(NOW.plus(1100)));
    let subjects: Vec<_> = known.subjects.into_iter().collect();
    let of = |subject: &str, after| (subject.to_owned(), NOW.plus(after));
    assert_eq!(subjects, [of(ada, 1200), of(bob, 1010)]);
    assert_eq!(store.not_before_of(&lists, ada).await.unwrap(), NOW.plus(1200));
    assert_eq!(store.not_before_of(&lists, bob).await.unwrap(), NOW.plus(1100));

    let (session, _) = Session::start(&user("lists", "bob"), NOW, 600);
    let (username, unknown) = (&session.username, &session.id);
    let asked = store.session_and_not_before(&lists, username, unknown, ada).await.unwrap();
    assert_eq!(asked, (None, NOW.plus(1200)));
    assert!(store.create_session(&session).await.unwrap());
    let asked = store.session_and_not_before(&lists, username, &session.id, bob).await.unwrap();
    assert_eq!(asked, (Some(session), NOW.plus(1100)));

    // However long ago, the domain's is told, and that of one user.
    let known = store.not_before(&lists, NOW.plus(1011)).await.unwrap();
    assert_eq!(known.subjects.into_iter().collect::<Vec<_>>(), [of(ada, 1200)]);
    let known = store.not_before(&lists, NOW.plus(9000)).await.unwrap();
    assert_eq!((known.all, known.subjects.len()), (Some(NOW.plus(1100)), 0));
    let others = store.not_before(&name("others"), Timestamp(0)).await.unwrap();
    assert_eq!((others.all, others.subjects.len()), (None, 0));
    assert_eq!(store.not_before_of(&name("others"), ada).await.unwrap(), Timestamp(0));
}

async fn tokens_of_clocks_that_are_ahead_are_cut_off_too(store: &dyn Store) {
    let bob = user("others", "bob");
    let session = begin(store, &bob).await;
    let (current, next) = (session.current_refresh, RefreshHash([7; 32]));
    let ahead = at(NOW.plus(60));
    assert!(store.replace_refresh(&session, current, next, ahead).await.unwrap().is_some());
    store.raise_not_before(&bob.domain, Some(&bob.id), NOW.plus(9)).await.unwrap();
    assert_eq!(store.not_before_of(&bob.domain, &bob.id).await.unwrap(), NOW.plus(61));
    let known = store.not_before(&bob.domain, NOW).await.unwrap();
    assert_eq!(known.subjects.get(&bob.id), Some(&NOW.plus(61)));
}

async fn disabled_users_are_cut_off(store: &dyn Store) {
    let ada = user("others", "ada");
    let session = begin(store, &ada).await;
    assert!(store.disable_user(&ada.domain, &ada.username, NOW.plus(70)).await.unwrap());
    assert_eq!(read(store, &session).await.ended, Some((NOW.plus(70), EndReason::Disabled)));
    let known = store.not_before(&ada.domain, NOW).await.unwrap();
    assert_eq!(known.subjects.get(&ada.id), Some(&NOW.plus(71)));
    assert_eq!(store.not_before_of(&ada.domain, &ada.id).await.unwrap(), NOW.plus(71));
}

/// A session with a place.
async fn begin(store: &dyn Store, user: &User) -> Session {
    let status: StatusPlace = store.allocate_status(&user.domain).await.unwrap();
    let (session, _) = Session::start(user, NOW, 600);
    let session = Session { status: Some(status), ..session };
    assert!(store.create_session(&session).await.unwrap());
    session
}

async fn revoked(
    store: &dyn Store,
    domain: &str,
    list: u32,
    since: Timestamp,
) -> Vec<(u32, Timestamp)> {
    let mut revoked = store.revoked_since(&name(domain), list, since).await.unwrap();
    revoked.sort_unstable();
    revoked
}

fn name(domain: &str) -> DomainName {
    domain.parse().unwrap()
}
