//! Users whose password hashes another system made.

use super::*;
use crate::user::{PasswordHash, User};

/// What libxcrypt makes of [`PASSWORD`], with each of the prefixes.
const BCRYPT: &str = "$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
const PRESENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

impl Fixture {
    async fn import(&self, username: &str, hash: &str) -> User {
        let user = User {
            id: format!("id of {username}"),
            domain: "shop".parse().unwrap(),
            username: username.parse().unwrap(),
            password_hash: PasswordHash::import(hash).unwrap(),
            created_at: self.clock.now(),
            disabled_at: None,
        };
        self.ports.store.create_user(&user).await.unwrap();
        user
    }

    async fn hash_of(&self, user: &User) -> String {
        let user = self.ports.store.user(&user.domain, &user.username).await.unwrap();
        user.unwrap().password_hash.0
    }

    async fn token_of(&self, username: &str) -> String {
        let answer = self.try_login("shop", username, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.token()
    }

    async fn can_log_in(&self, username: &str, password: &str) -> bool {
        self.try_login("shop", username, password).await.status == StatusCode::OK
    }

    fn execute(&self, statement: &str) {
        let other = rusqlite::Connection::open(self.folder.path().join("postern.db")).unwrap();
        other.execute_batch(statement).unwrap();
    }
}

#[tokio::test]
async fn a_bcrypt_hash_of_every_prefix_is_made_anew_by_the_first_login_and_by_no_other() {
    let fixture = Fixture::new().await;
    let checks = fixture.issuer.password_checks();
    for prefix in ["$2a", "$2b", "$2y"] {
        let user = fixture.import(prefix, &format!("{prefix}{BCRYPT}")).await;
        let answer = fixture.try_login("shop", prefix, "wrong horse").await;
        answer.assert_refused(400, "Invalid username or password");
        assert!(fixture.hash_of(&user).await.starts_with(prefix), "{prefix}");

        let before = checks.computed();
        assert_eq!(claim(&fixture.token_of(prefix).await, "sub"), user.id);
        assert_eq!(checks.computed(), before + 2, "one check and one hash");
        let renewed = fixture.hash_of(&user).await;
        assert!(renewed.starts_with(PRESENT), "{prefix}");

        fixture.token_of(prefix).await;
        assert_eq!(checks.computed(), before + 3, "one check and no hash");
        assert_eq!(fixture.hash_of(&user).await, renewed);
        assert!(!fixture.can_log_in(prefix, "wrong horse").await);
    }
}

#[tokio::test]
async fn argon2id_of_other_parameters_is_made_anew_too() {
    let fixture = Fixture::new().await;
    let params = argon2::Params::new(512, 1, 1, None).unwrap();
    let other = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = argon2::password_hash::SaltString::encode_b64(b"sixteen bytes...").unwrap();
    let hash = argon2::PasswordHasher::hash_password(&other, PASSWORD.as_bytes(), &salt).unwrap();
    let user = fixture.import("bob", &hash.to_string()).await;
    assert!(!fixture.can_log_in("bob", "wrong horse").await);
    assert!(fixture.can_log_in("bob", PASSWORD).await);
    assert!(fixture.hash_of(&user).await.starts_with(PRESENT));
    assert!(fixture.can_log_in("bob", PASSWORD).await);
}

#[tokio::test]
async fn a_password_shorter_than_new_ones_may_be_stays_good() {
    let fixture = Fixture::new().await;
    let hash = "$2b$04$abcdefghijklmnopqrstuuQMca.wp49k7/Fv7GztHjX0.7CTzY4u2";
    let user = fixture.import("bob", hash).await;
    assert!(!fixture.can_log_in("bob", "kurt").await);
    for _ in 0..2 {
        assert!(fixture.can_log_in("bob", "kurz").await);
        assert!(fixture.hash_of(&user).await.starts_with(PRESENT));
    }
}

/// bcrypt lets a slip of the pen after the 72nd byte pass: it must not become the password.
#[tokio::test]
async fn a_password_that_bcrypt_cuts_off_keeps_its_hash() {
    let fixture = Fixture::new().await;
    let hash = "$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q";
    let user = fixture.import("bob", hash).await;
    for password in ["x".repeat(80), format!("{}slip", "x".repeat(72)), "x".repeat(2000)] {
        assert!(fixture.can_log_in("bob", &password).await);
        assert_eq!(fixture.hash_of(&user).await, hash);
    }
    for password in ["x".repeat(71), format!("{}y", "x".repeat(71))] {
        assert!(!fixture.can_log_in("bob", &password).await);
    }
}

#[tokio::test]
async fn a_disabled_user_is_neither_let_in_nor_given_a_new_hash() {
    let fixture = Fixture::new().await;
    let hash = format!("$2b{BCRYPT}");
    let user = fixture.import("bob", &hash).await;
    fixture.ports.disable_user(&user.domain, &user.username).await.unwrap();
    let answer = fixture.try_login("shop", "bob", PASSWORD).await;
    answer.assert_refused(400, "Invalid username or password");
    assert_eq!(fixture.hash_of(&user).await, hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_logins_all_succeed_and_the_password_stays() {
    let fixture = Arc::new(Fixture::new().await);
    let user = fixture.import("bob", &format!("$2b{BCRYPT}")).await;
    let logins: Vec<_> = (0..8)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move { fixture.can_log_in("bob", PASSWORD).await })
        })
        .collect();
    for login in logins {
        assert!(login.await.unwrap());
    }
    assert!(fixture.hash_of(&user).await.starts_with(PRESENT));
    assert!(fixture.can_log_in("bob", PASSWORD).await);
    assert!(!fixture.can_log_in("bob", "wrong horse").await);
}

#[tokio::test]
async fn a_hash_that_cannot_be_replaced_or_was_by_another_login_keeps_nobody_out() {
    let fixture = Fixture::new().await;
    let hash = format!("$2b{BCRYPT}");
    let user = fixture.import("bob", &hash).await;
    for outcome in ["ABORT, 'full'", "IGNORE"] {
        fixture.execute(&format!(
            "CREATE TRIGGER refused BEFORE UPDATE OF password_hash ON users
             BEGIN SELECT RAISE({outcome}); END"
        ));
        assert!(fixture.can_log_in("bob", PASSWORD).await, "{outcome}");
        assert_eq!(fixture.hash_of(&user).await, hash);
        fixture.execute("DROP TRIGGER refused");
    }
    assert!(fixture.can_log_in("bob", PASSWORD).await);
    assert!(fixture.hash_of(&user).await.starts_with(PRESENT));
}
