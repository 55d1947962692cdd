//! The `postern` command with `--aws`: what an operator does, and a server on the same data.

use std::process::Command;

use postern_tests::{Issuer, MiniStack, Request, claims_of, postern_program};
use serde_json::json;
use tempfile::TempDir;

/// bcrypt of [`PASSWORD`], by the system that users come from.
const HASH: &str = "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
const PASSWORD: &str = "correct horse";
const SECRET: &str = "a secret that the old system signed with";

struct Operator {
    folder: TempDir,
    issuer: Issuer,
    _stack: MiniStack,
}

impl Operator {
    async fn new() -> Self {
        let stack = MiniStack::start().await.unwrap();
        let mut variables = stack.environment().to_vec();
        variables.push(("POSTERN_TABLE", "postern".to_owned()));
        variables.push(("POSTERN_SECRET_PREFIX", "postern/test/".to_owned()));
        let folder = TempDir::new().unwrap();
        let issuer = Issuer::on_aws(folder.path(), variables).unwrap();
        let operator = Self { folder, issuer, _stack: stack };
        assert_eq!(operator.run(&["table", "create"], ""), "created table `postern`\n");
        operator
    }

    fn run(&self, arguments: &[&str], input: &str) -> String {
        self.issuer.postern(arguments, input).unwrap()
    }

    fn refused(&self, arguments: &[&str], input: &str) -> String {
        self.issuer.postern(arguments, input).unwrap_err().to_string()
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn domains_users_and_keys_are_administered_on_aws() {
    let mut operator = Operator::new().await;
    assert!(operator.refused(&["table", "create"], "").contains("already exists"));
    assert!(operator.run(&["domain", "create", "shop", "--alg", "EdDSA"], "").contains("EdDSA"));
    let refused = operator.refused(&["domain", "create", "shop"], "");
    assert!(refused.contains("domain `shop` already exists"), "{refused}");
    operator.run(&["user", "create", "shop", "ada"], "correct horse\n");
    operator.run(&["user", "create", "shop", "bob"], "correct horse\n");
    let refused = operator.refused(&["user", "create", "shop", "ada"], "correct horse\n");
    assert!(refused.contains("user `ada` already exists"), "{refused}");
    assert!(operator.run(&["domain", "list"], "").contains("shop  EdDSA"));
    assert_eq!(operator.run(&["user", "list", "shop"], "").matches("active").count(), 2);

    operator.issuer.start().await.unwrap();
    let token = operator.issuer.token("shop", "ada", "correct horse").await.unwrap();
    let auth = async |token: &str| {
        operator.issuer.client().send(Request::get("/auth").bearer(token)).await.unwrap().status
    };
    assert_eq!(auth(&token).await, 200);
    operator.run(&["user", "disable", "shop", "bob"], "");
    assert_eq!(operator.run(&["user", "list", "shop"], "").matches("disabled").count(), 1);
    let refused = operator.issuer.login("shop", "bob", "correct horse").await.unwrap();
    assert_eq!(refused.status, 400);

    operator.run(&["keys", "rotate", "shop"], "");
    assert_eq!(auth(&token).await, 200, "the replaced key still counts");
    let refused = operator.refused(&["keys", "rotate", "shop"], "");
    assert!(refused.contains("not known everywhere yet"), "{refused}");
    operator.run(&["keys", "rotate", "shop", "--compromised"], "");
    assert_eq!(
        auth(&token).await,
        403,
        "withdrawn at once, though the server keeps keys in memory"
    );
    let fresh = operator.issuer.token("shop", "ada", "correct horse").await.unwrap();
    assert_eq!(auth(&fresh).await, 200);
    let listed = operator.run(&["keys", "list", "shop"], "");
    assert_eq!(listed.lines().count(), 3, "next and current below the heading: {listed}");
    let exported = operator.run(&["keys", "export", "shop"], "");
    assert_eq!(exported.matches("\"kid\"").count(), 2, "{exported}");
}

#[tokio::test]
async fn users_of_the_original_system_move_to_dynamodb_with_their_passwords() {
    let mut operator = Operator::new().await;
    let secrets = operator.file("secrets.json", &json!({"shop": SECRET}).to_string());
    let user = json!({"id": "shop#ada", "doc_type": "user", "password": HASH});
    let table = operator.file("table.json", &user.to_string());
    let migrate = ["migrate", "--old-secrets", &secrets, "--old-table", &table];
    let told = operator.run(&migrate, "");
    assert!(told.contains("domains: 1 created") && told.contains("users: 1 created"), "{told}");
    let again = operator.run(&migrate, "");
    assert!(again.contains("users: 0 created, 1 unchanged"), "{again}");

    operator.issuer.start().await.unwrap();
    let token = operator.issuer.token("shop", "ada", PASSWORD).await.unwrap();
    assert_eq!(claims_of(&token)["username"], "ada");
    let exported = operator.run(&["keys", "export", "shop", "--dangerous-secrets"], "");
    assert!(exported.contains(&postern_tests::base64url(SECRET)), "it signs with the old secret");
    // The hash was made anew: what the old table says is another one.
    let (code, errors) = run(&operator, &migrate);
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("another password hash, as after a login"), "{errors}");
    operator.issuer.token("shop", "ada", PASSWORD).await.unwrap();
    let log = operator.issuer.log();
    for secret in [PASSWORD, HASH, SECRET, &token] {
        assert!(!log.contains(secret));
    }
}

fn run(operator: &Operator, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(postern_program().unwrap());
    command.args(arguments).arg("--aws").envs(operator.issuer.environment());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_aws_needs_is_asked_for_by_name() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(postern_program().unwrap());
        command.args(arguments).env_remove("POSTERN_TABLE").env_remove("POSTERN_SECRET_PREFIX");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (arguments, expected) in [
        (
            &["domain", "list", "--aws"] as &[&str],
            "error: `--aws` needs `--table`, or `POSTERN_TABLE`\n",
        ),
        (
            &["domain", "list", "--aws", "--table", "t"],
            "error: `--aws` needs `--secret-prefix`, or `POSTERN_SECRET_PREFIX`\n",
        ),
    ] {
        assert_eq!(run(arguments), (Some(1), expected.to_owned()), "{arguments:?}");
    }
    let folder = TempDir::new().unwrap();
    let data = folder.path().to_str().unwrap();
    for arguments in [
        &["table", "create"] as &[&str],
        &["domain", "create", "shop", "--rotation-function", "arn:aws:lambda:r:0:function:f"],
    ] {
        let (code, errors) = run(&[arguments, &["--data-dir", data]].concat());
        assert_eq!(code, Some(1));
        assert!(errors.contains("needs `--aws`"), "{errors}");
    }
}
