use std::time::Duration;

use axum::http::header::IF_NONE_MATCH;
use miniz_oxide::inflate::decompress_to_vec_zlib;
use ring::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use tokio::time::sleep;

use super::*;
use crate::{
    key::{Key, PublicKey},
    status_list::StatusPlace,
};

const PATH: &str = "/shop/status-lists/0";
/// Longer than a list that was published may be published again unasked.
const PAUSE: Duration = Duration::from_millis(300);

/// A list as an edge reads it.
struct List {
    token: String,
    etag: String,
}

impl List {
    fn claims(&self) -> Value {
        claims(&self.token)
    }

    fn header(&self) -> Value {
        let header = self.token.split('.').next().unwrap();
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(header).unwrap()).unwrap()
    }

    fn revokes(&self, token: &str) -> bool {
        let status = &claims(token)["status"]["status_list"];
        assert_eq!(status["uri"], self.claims()["sub"]);
        let lst = self.claims()["status_list"]["lst"].as_str().unwrap().to_owned();
        let lst = Base64UrlUnpadded::decode_vec(&lst).unwrap();
        let bits = decompress_to_vec_zlib(&lst).unwrap();
        assert_eq!(bits.len(), 1 << 17);
        let index = usize::try_from(status["idx"].as_u64().unwrap()).unwrap();
        bits[index / 8] >> (index % 8) & 1 == 1
    }

    /// Whether the list cuts off the token by its time.
    fn cuts_off(&self, token: &str) -> bool {
        let (not_before, token) = (&self.claims()["postern_not_before"], claims(token));
        let all = not_before["all"].as_u64().unwrap_or(0);
        let own = not_before["subjects"][token["sub"].as_str().unwrap()].as_u64().unwrap_or(0);
        token["iat"].as_u64().unwrap() < all.max(own)
    }
}

impl Fixture {
    async fn raw(&self, path: &str, tag: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::get(path).header(IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn list(&self) -> List {
        let (status, headers, token) = self.raw(PATH, "").await;
        assert_eq!(status, StatusCode::OK);
        List { token, etag: headers["etag"].to_str().unwrap().to_owned() }
    }

    async fn list_after_a_moment(&self) -> List {
        sleep(PAUSE).await;
        self.list().await
    }

    async fn logout(&self, token: &str) {
        let answer = self.bearer("POST", "/logout", token).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }

    /// Another process on the same data.
    fn beside(&self) -> Self {
        self.beside_with(Arc::clone(&self.clock))
    }

    fn beside_with(&self, clock: Arc<VirtualClock>) -> Self {
        let sqlite = Arc::new(Sqlite::open(self.folder.path()).unwrap());
        let ports = Ports { store: sqlite.clone(), vault: sqlite, clock: clock.clone() };
        let issuer = Arc::new(Issuer::new(ports.clone(), URL.parse().unwrap()));
        let router = router(Arc::clone(&issuer), AUTHORIZATION, &[]);
        let folder = tempfile::tempdir().unwrap();
        Self { router, issuer, ports, clock, folder }
    }
}

/// Checked by another implementation than the one that signed, but for HS256.
fn is_signed_by(token: &str, key: &Key) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).unwrap();
    let verify = |algorithm: &'static dyn VerificationAlgorithm, public: &[u8]| {
        UnparsedPublicKey::new(algorithm, public).verify(signed.as_bytes(), &signature).is_ok()
    };
    match &key.public {
        None => {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key.secret.as_ref().unwrap().expose());
            hmac::verify(&secret, signed.as_bytes(), &signature).is_ok()
        }
        Some(PublicKey::EllipticCurve { x, y, .. }) => {
            let point = [vec![4], decode(x), decode(y)].concat();
            verify(&ECDSA_P256_SHA256_FIXED, &point)
        }
        Some(PublicKey::OctetKeyPair { x, .. }) => verify(&ED25519, &decode(x)),
        Some(PublicKey::Rsa { n, e }) => {
            let public = RsaPublicKeyComponents { n: decode(n), e: decode(e) };
            let (algorithm, signed) = (&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes());
            public.verify(algorithm, signed, &signature).is_ok()
        }
    }
}

#[tokio::test]
async fn a_list_is_signed_by_the_current_key_and_published_for_everyone() {
    for algorithm in SigningAlgorithm::ALL {
        let fixture = Fixture::with(algorithm, AUTHORIZATION).await;
        fixture.login("shop").await;
        let (status, headers, token) = fixture.raw(PATH, "").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["content-type"], "application/statuslist+jwt");
        assert_eq!(headers["cache-control"], "public, max-age=5");
        let list = List { token, etag: String::new() };
        let key = fixture.key_set("shop").await.current;
        let header = json!({ "alg": algorithm.as_str(), "kid": key.id, "typ": "statuslist+jwt" });
        assert_eq!(list.header(), header);
        let claims = list.claims();
        assert_eq!(claims["sub"], format!("{URL}{PATH}"));
        let signed = fixture.now() / 100 * 100;
        let times = ["iat", "exp", "ttl"].map(|name| claims[name].as_u64().unwrap());
        assert_eq!(times, [signed, signed + 300, 5]);
        assert_eq!(claims["status_list"]["bits"], 1);
        let members: Vec<_> = claims.as_object().unwrap().keys().collect();
        assert_eq!(members, ["exp", "iat", "status_list", "sub", "ttl"]);
        assert!(is_signed_by(&list.token, &key));
    }
}

#[tokio::test]
async fn tokens_say_where_they_stand_and_refreshed_ones_stay_there() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.login("shop").await, fixture.login("shop").await);
    let place = |token: &str| claims(token)["status"]["status_list"].clone();
    assert_eq!(place(&one)["uri"], format!("{URL}{PATH}"));
    assert_ne!(place(&one)["idx"], place(&two)["idx"]);
    let next = fixture.refresh(&one).await.token();
    assert_eq!(place(&next), place(&one));
}

#[tokio::test]
async fn a_session_of_before_there_were_lists_gets_a_place_when_it_is_refreshed() {
    let fixture = Fixture::new().await;
    let user = fixture.ports.users(&"shop".parse().unwrap()).await.unwrap().remove(0);
    let (session, refresh) = Session::start(&user, fixture.clock.now(), SESSION_LIFETIME);
    assert!(fixture.ports.store.create_session(&session).await.unwrap());
    let domain = fixture.ports.domain(&session.domain).await.unwrap();
    let (key_set, issuer) = (fixture.key_set("shop").await, format!("{URL}/shop"));
    let now = fixture.clock.now();
    let token = crate::token::mint(&issuer, &domain, &key_set, &session, &refresh, now).unwrap();
    let token = token.token.expose();
    assert!(claims(token).get("status").is_none());
    let next = fixture.refresh(token).await.token();
    let place = claims(&next)["status"].clone();
    assert!(place.is_object());
    for racer in [token, &next] {
        assert_eq!(claims(&fixture.refresh(racer).await.token())["status"], place);
    }
    assert!(!fixture.list().await.revokes(&next));
    fixture.logout(&next).await;
    assert!(fixture.list_after_a_moment().await.revokes(&next));
}

#[tokio::test]
async fn lists_that_were_never_begun_are_not_found_and_nothing_is_kept_of_them() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.raw(PATH, "").await.0, StatusCode::NOT_FOUND);
    fixture.login("shop").await;
    assert_eq!(fixture.raw(PATH, "").await.0, StatusCode::OK);
    for path in [
        "/shop/status-lists/1",
        "/shop/status-lists/4294967295",
        "/shop/status-lists/4294967296",
        "/shop/status-lists/00",
        "/shop/status-lists/+0",
        "/shop/status-lists/-1",
        "/shop/status-lists/a",
        "/shop/status-lists/%ff",
        "/shop/status-lists/",
        "/nowhere/status-lists/0",
        "/SHOP/status-lists/0",
    ] {
        fixture.get(path).await.assert_refused(404, "Not found");
    }
    assert_eq!(fixture.issuer.lists_held(), 1);
}

#[tokio::test]
async fn a_logout_is_published_and_no_other_session_with_it() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.login("shop").await, fixture.login("shop").await);
    let before = fixture.list().await;
    assert!(!before.revokes(&one) && !before.revokes(&two));
    fixture.logout(&one).await;
    let after = fixture.list_after_a_moment().await;
    assert!(after.revokes(&one) && !after.revokes(&two));
    assert_ne!(after.etag, before.etag);
    assert!(after.claims().get("postern_not_before").is_none());
}

#[tokio::test]
async fn reuse_of_a_refresh_token_is_published() {
    let fixture = Fixture::new().await;
    let first = fixture.login("shop").await;
    let second = fixture.refresh(&first).await.token();
    let third = fixture.refresh(&second).await.token();
    assert!(!fixture.list().await.revokes(&third));
    fixture.clock.advance(11);
    assert_eq!(fixture.refresh(&first).await.status, StatusCode::UNAUTHORIZED);
    assert!(fixture.list_after_a_moment().await.revokes(&third));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_does_is_published_within_a_second() {
    let fixture = Fixture::new().await;
    let tokens = [fixture.login("shop").await, fixture.login("shop").await];
    let (other, shop) = (fixture.beside(), "shop".parse().unwrap());
    assert!(!fixture.list().await.revokes(&tokens[0]));
    other.logout(&tokens[0]).await;
    sleep(Duration::from_millis(260)).await;
    let list = fixture.list().await;
    assert!(list.revokes(&tokens[0]) && !list.revokes(&tokens[1]));
    assert!(!list.cuts_off(&tokens[1]));
    other.ports.disable_user(&shop, &"ada".parse().unwrap()).await.unwrap();
    sleep(Duration::from_millis(260)).await;
    let list = fixture.list().await;
    assert!(list.revokes(&tokens[1]) && list.cuts_off(&tokens[1]));
    other.ports.end_sessions_of_domain(&shop).await.unwrap();
    sleep(Duration::from_millis(260)).await;
    let not_before = fixture.list().await.claims()["postern_not_before"]["all"].clone();
    assert_eq!(not_before, fixture.now() + 11);
}

/// One is ahead of the other by more than clocks that are off by a minute can be.
#[tokio::test]
async fn clocks_that_differ_by_almost_three_minutes_hide_nothing() {
    let fixture = Fixture::new().await;
    let mut logins = Vec::new();
    for _ in 0..4 {
        logins.push(fixture.login("shop").await);
    }
    let behind = fixture.beside_with(Arc::new(VirtualClock::at(fixture.now() - 178)));
    for (token, revoking) in logins.iter().zip([&fixture, &behind, &fixture, &behind]) {
        revoking.logout(token).await;
        sleep(PAUSE).await;
        for publishing in [&fixture, &behind] {
            assert!(publishing.list().await.revokes(token));
        }
    }
}

#[tokio::test]
async fn processes_that_know_the_same_publish_the_same() {
    let fixture = Fixture::with(SigningAlgorithm::EdDsa, AUTHORIZATION).await;
    let (one, two) = (fixture.login("shop").await, fixture.login("shop").await);
    fixture.list().await;
    fixture.clock.advance(7);
    fixture.logout(&one).await;
    let first = fixture.list_after_a_moment().await;
    fixture.clock.advance(9);
    // Another process takes the list up later, and says so by neither another time nor another tag.
    let other = fixture.beside();
    assert_eq!(other.list().await.token, first.token);
    assert_eq!(first.claims()["iat"], fixture.now() - 9);
    other.logout(&two).await;
    let second = fixture.list_after_a_moment().await;
    assert_eq!(second.claims()["iat"], fixture.now());
    assert_eq!(other.list_after_a_moment().await.token, second.token);
}

#[tokio::test]
async fn a_list_is_signed_anew_with_every_period_and_with_another_key() {
    let fixture = Fixture::new().await;
    fixture.login("shop").await;
    let first = fixture.list().await;
    fixture.clock.advance(99);
    let (status, headers, body) = fixture.raw(PATH, &first.etag).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(headers["etag"], first.etag);
    assert_eq!(headers["cache-control"], "public, max-age=5");
    assert!(!headers.contains_key("content-type"));
    fixture.clock.advance(1);
    let second = fixture.list_after_a_moment().await;
    assert_eq!(second.claims()["iat"], first.claims()["iat"].as_u64().unwrap() + 100);
    assert_ne!(second.etag, first.etag);
    fixture.ports.rotate_keys(&"shop".parse().unwrap(), Rotation::Regular).await.unwrap();
    // At once: no edge takes what a withdrawn key has signed.
    let third = fixture.list().await;
    assert_eq!(third.header()["kid"], fixture.key_set("shop").await.current.id);
    assert_ne!(third.header()["kid"], second.header()["kid"]);
    assert_eq!(third.claims(), second.claims());
}

#[tokio::test]
async fn time_never_goes_back_in_what_one_process_publishes() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let first = fixture.list().await;
    fixture.clock.set_back(250);
    fixture.logout(&token).await;
    let second = fixture.list_after_a_moment().await;
    assert_eq!(second.claims()["iat"], first.claims()["iat"]);
    assert!(second.revokes(&token));
}

#[tokio::test]
async fn what_is_revoked_after_the_clock_was_set_back_is_published() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.login("shop").await, fixture.login("shop").await);
    fixture.logout(&one).await;
    assert!(fixture.list().await.revokes(&one));
    fixture.clock.set_back(250);
    fixture.logout(&two).await;
    assert!(fixture.list_after_a_moment().await.revokes(&two));
}

#[tokio::test]
async fn whoever_learns_later_of_what_a_clock_ahead_revoked_publishes_the_same_time() {
    for (ahead, told, moved) in [(60, 60, 0), (200, 120, 9)] {
        let fixture = Fixture::new().await;
        let token = fixture.login("shop").await;
        let revoking = fixture.beside_with(Arc::new(VirtualClock::at(fixture.now() + ahead)));
        revoking.logout(&token).await;
        let first = fixture.list().await.claims()["iat"].as_u64().unwrap();
        assert_eq!(first, fixture.now() + told);
        fixture.clock.advance(9);
        let later = fixture.beside().list().await.claims()["iat"].as_u64().unwrap();
        assert_eq!(later, first + moved, "{ahead}");
        let same = fixture.list_after_a_moment().await.claims()["iat"].as_u64().unwrap();
        assert_eq!(same, later, "{ahead}");
    }
}

#[tokio::test]
async fn a_process_that_starts_after_the_clock_was_set_back_publishes_no_earlier_time() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    fixture.clock.advance(70);
    fixture.logout(&token).await;
    let first = fixture.list().await;
    fixture.clock.set_back(60);
    let other = fixture.beside().list().await;
    assert_eq!(other.claims()["iat"], first.claims()["iat"]);
}

#[tokio::test]
async fn what_is_revoked_stays_so_in_a_process_that_starts_later() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.login("shop").await, fixture.login("shop").await);
    fixture.logout(&one).await;
    fixture.clock.advance(SESSION_LIFETIME - 1);
    fixture.logout(&two).await;
    let other = fixture.beside();
    let list = other.list().await;
    assert!(list.revokes(&one) && list.revokes(&two));
}

#[tokio::test]
async fn without_a_key_that_signs_or_a_store_that_answers_there_is_no_list() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    fixture.list().await;
    let (set, shop) = (fixture.key_set("shop").await, "shop".parse().unwrap());
    let domain = fixture.ports.domain(&shop).await.unwrap();
    let clock = Arc::clone(&fixture.ports.clock);
    let damaged = set.clone().with_damaged_current();
    let damaged = KeySet { generation: 2, ..damaged };
    fixture.ports.vault.replace_key_set(&domain.key_set, 1, &damaged, clock).await.unwrap();
    fixture.logout(&token).await;
    sleep(PAUSE).await;
    fixture.get(PATH).await.assert_refused(500, "Internal error");
    fixture.get(PATH).await.assert_refused(500, "Internal error");
    let clock = Arc::clone(&fixture.ports.clock);
    let whole = KeySet { generation: 3, ..set };
    fixture.ports.vault.replace_key_set(&domain.key_set, 2, &whole, clock).await.unwrap();
    assert!(fixture.list().await.revokes(&token));

    let database = rusqlite::Connection::open(fixture.folder.path().join("postern.db")).unwrap();
    database.execute_batch("DROP INDEX revocations; DROP TABLE not_before").unwrap();
    sleep(PAUSE).await;
    fixture.get(PATH).await.assert_refused(500, "Internal error");
}

#[tokio::test]
async fn sessions_that_are_cut_off_are_refused_here_and_later_ones_pass() {
    let fixture = Fixture::new().await;
    let shop: DomainName = "shop".parse().unwrap();
    let ada = "ada".parse().unwrap();
    for by_user in [true, false] {
        let old = fixture.login("shop").await;
        assert_eq!(fixture.bearer("GET", "/auth", &old).await.status, StatusCode::OK);
        if by_user {
            fixture.ports.end_sessions_of_user(&shop, &ada).await.unwrap();
        } else {
            fixture.ports.end_sessions_of_domain(&shop).await.unwrap();
        }
        fixture.bearer("GET", "/auth", &old).await.assert_refused(403, "Invalid session");
        fixture.refresh(&old).await.assert_refused(401, "Invalid session");
        let status = fixture.bearer("GET", "/status", &old).await;
        assert_eq!(status.body["valid"], false);
        fixture.bearer("POST", "/logout", &old).await.assert_refused(401, "Invalid session");

        // Within the very second, and with a refresh in it.
        let new = fixture.login("shop").await;
        let next = fixture.refresh(&new).await.token();
        let list = fixture.list_after_a_moment().await;
        assert!(list.cuts_off(&old));
        for token in [&new, &next] {
            assert!(!list.cuts_off(token), "{by_user}");
            assert_eq!(fixture.bearer("GET", "/auth", token).await.status, StatusCode::OK);
        }
        assert_eq!(claims(&new)["exp"], fixture.now() + TOKEN_LIFETIME);
        fixture.clock.advance(11);
        let later = fixture.refresh(&next).await.token();
        assert_eq!(claims(&later)["iat"], fixture.now());
    }
}

#[tokio::test]
async fn sessions_that_begin_in_the_second_of_a_cut_are_ended_by_the_next_one() {
    let fixture = Fixture::new().await;
    let (shop, ada): (DomainName, _) = ("shop".parse().unwrap(), "ada".parse().unwrap());
    for by_user in [true, false, false, true, true, false] {
        let token = fixture.login("shop").await;
        assert_eq!(fixture.bearer("GET", "/auth", &token).await.status, StatusCode::OK);
        if by_user {
            fixture.ports.end_sessions_of_user(&shop, &ada).await.unwrap();
        } else {
            fixture.ports.end_sessions_of_domain(&shop).await.unwrap();
        }
        fixture.bearer("GET", "/auth", &token).await.assert_refused(403, "Invalid session");
        assert!(fixture.list_after_a_moment().await.cuts_off(&token));
    }
}

#[tokio::test]
async fn sessions_of_a_clock_that_is_ten_seconds_ahead_are_ended_with_their_domain() {
    let fixture = Fixture::new().await;
    let shop: DomainName = "shop".parse().unwrap();
    let ahead = fixture.beside_with(Arc::new(VirtualClock::at(fixture.now() + 10)));
    let token = ahead.login("shop").await;
    fixture.ports.end_sessions_of_domain(&shop).await.unwrap();
    ahead.bearer("GET", "/auth", &token).await.assert_refused(403, "Invalid session");
    assert!(fixture.list().await.cuts_off(&token));
    let next = fixture.login("shop").await;
    assert_eq!(fixture.bearer("GET", "/auth", &next).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_user_and_another_domain_are_left_alone() {
    let fixture = Fixture::new().await;
    fixture.create_domain("blog", SigningAlgorithm::Es256).await;
    let shop: DomainName = "shop".parse().unwrap();
    let password = SecretText::new(PASSWORD.to_owned());
    fixture.ports.create_user(&shop, "bob".parse().unwrap(), password).await.unwrap();
    let blog = fixture.login("blog").await;
    let bob = fixture.try_login("shop", "bob", PASSWORD).await.token();
    let ada = "ada".parse().unwrap();
    fixture.ports.end_sessions_of_user(&shop, &ada).await.unwrap();
    let list = fixture.list().await;
    assert!(!list.cuts_off(&bob) && !list.revokes(&bob));
    for token in [&blog, &bob] {
        assert_eq!(fixture.refresh(token).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn users_are_named_for_as_long_as_their_tokens_can_live() {
    let fixture = Fixture::new().await;
    let (shop, ada) = ("shop".parse().unwrap(), "ada".parse().unwrap());
    let token = fixture.login("shop").await;
    fixture.ports.end_sessions_of_user(&shop, &ada).await.unwrap();
    assert!(fixture.list().await.cuts_off(&token));
    fixture.clock.advance(TOKEN_LIFETIME + 120);
    assert!(fixture.list_after_a_moment().await.cuts_off(&token));
    fixture.clock.advance(100);
    let list = fixture.list_after_a_moment().await;
    assert!(list.claims().get("postern_not_before").is_none());
    // The session is over for longer than that.
    fixture.refresh(&token).await.assert_refused(401, "Invalid session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_under_way_does_not_outlive_the_cut() {
    let fixture = Fixture::new().await;
    let token = fixture.login("shop").await;
    let shop: DomainName = "shop".parse().unwrap();
    // The write of the refresh waits behind that of another process, which cuts all sessions off.
    let other = rusqlite::Connection::open(fixture.folder.path().join("postern.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (router, request) = (fixture.router.clone(), Request::get("/refresh"));
    let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    let request = request.body(Body::empty()).unwrap();
    let refresh = tokio::spawn(async move { router.oneshot(request).await.unwrap().status() });
    sleep(PAUSE).await;
    let insert = "INSERT INTO not_before (domain, subject, at) VALUES (?1, '', ?2)";
    let at = i64::try_from(fixture.now() + 1).unwrap();
    other.execute(insert, rusqlite::params![shop.as_str(), at]).unwrap();
    fixture.clock.advance(5);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(refresh.await.unwrap(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_asks_at_once_gets_one_list() {
    let fixture = Arc::new(Fixture::new().await);
    let token = fixture.login("shop").await;
    fixture.list().await;
    fixture.logout(&token).await;
    sleep(PAUSE).await;
    let asks: Vec<_> = (0..50)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(
                async move { fixture.issuer.status_list("shop", 0).await.unwrap().unwrap() },
            )
        })
        .collect();
    let mut lists = Vec::new();
    for ask in asks {
        lists.push(ask.await.unwrap());
    }
    assert!(lists.iter().all(|list| Arc::ptr_eq(list, &lists[0])));
}

#[tokio::test]
async fn the_version_changes_with_every_revocation() {
    let fixture = Fixture::new().await;
    let (shop, ada) = ("shop".parse().unwrap(), "ada".parse().unwrap());
    let version = async || fixture.issuer.status_version(&shop).await.unwrap();
    let token = fixture.login("shop").await;
    let mut seen = vec![version().await];
    assert_eq!(version().await, seen[0]);
    fixture.logout(&token).await;
    seen.push(version().await);
    fixture.ports.end_sessions_of_user(&shop, &ada).await.unwrap();
    seen.push(version().await);
    fixture.ports.end_sessions_of_domain(&shop).await.unwrap();
    seen.push(version().await);
    fixture.ports.disable_user(&shop, &ada).await.unwrap();
    seen.push(version().await);
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn all_places_of_a_domain_are_on_its_own_lists() {
    let fixture = Fixture::new().await;
    fixture.create_domain("blog", SigningAlgorithm::Es256).await;
    let token = fixture.login("blog").await;
    let status = claims(&token)["status"]["status_list"].clone();
    assert_eq!(status["uri"], format!("{URL}/blog/status-lists/0"));
    let place = fixture.session(&token).await.status.unwrap();
    let index = u32::try_from(status["idx"].as_u64().unwrap()).unwrap();
    assert_eq!(place, StatusPlace { list: 0, index });
    assert_eq!(fixture.ports.store.status_lists(&"shop".parse().unwrap()).await.unwrap(), 0);
}
