//! A domain whose keys moto keeps and rotates, with the rotation function in this process.

use std::sync::{Arc, Mutex, OnceLock};

use aws_sdk_secretsmanager::types::RotationRulesType;
use postern_issuer::{
    DomainSettings, KeySet, Ports, RotationFailure, SecretRotation, SigningAlgorithm, Sqlite, Store,
};
use postern_tests::FunctionServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::secrets::{PREFIX, Secrets, VirtualClock};

pub(super) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];
/// Which function it is, the harness knows.
pub(super) const ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:rotation";

pub(super) struct World {
    pub(super) secrets: Secrets,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) ports: Ports,
    store: Arc<Sqlite>,
    function: Arc<Function>,
    _server: FunctionServer,
    _folder: TempDir,
}

#[derive(Default)]
struct Function {
    rotation: OnceLock<SecretRotation>,
    steps: Mutex<Vec<String>>,
    dies_at: Mutex<Option<&'static str>>,
}

impl Function {
    async fn call(&self, event: Value) -> Result<Value, String> {
        let step = event.get("Step").and_then(Value::as_str).expect("a step").to_owned();
        self.steps.lock().unwrap().push(step.clone());
        if *self.dies_at.lock().unwrap() == Some(step.as_str()) {
            return Err("RequestId: 1 Error: Runtime exited".to_owned());
        }
        let event = serde_json::from_value(event).unwrap();
        let handled = self.rotation.get().unwrap().handle(&event).await;
        handled.map(|()| Value::Null).map_err(|failure| failure.to_string())
    }
}

pub(super) fn settings() -> DomainSettings {
    DomainSettings {
        audience: "api".to_owned(),
        token_lifetime: 300,
        session_lifetime: 3600,
        jwks_max_age: 120,
    }
}

impl World {
    /// With the domain `shop` in its first generation.
    pub(super) async fn start() -> Self {
        let function = Arc::new(Function::default());
        let called = Arc::clone(&function);
        let server = FunctionServer::start(move |event| {
            let called = Arc::clone(&called);
            async move { called.call(event).await }
        });
        let server = server.await.unwrap();
        let secrets = Secrets::with_function(&server.url()).await;
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Sqlite::open(folder.path()).unwrap());
        let clock = VirtualClock::start();
        let config = secrets.config();
        let rotation =
            SecretRotation::new(&config, PREFIX.to_owned(), store.clone(), clock.clone());
        assert!(function.rotation.set(rotation).is_ok());
        let vault = Arc::new(secrets.vault());
        let ports = Ports { store: store.clone(), vault, clock: clock.clone() };
        let shop = "shop".parse().unwrap();
        ports.create_domain(shop, SigningAlgorithm::EdDsa, settings()).await.unwrap();
        Self { secrets, clock, ports, store, function, _server: server, _folder: folder }
    }

    /// Those of one process, which remember what they have read.
    pub(super) fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// Those of a process that has just been started.
    pub(super) fn fresh_ports(&self) -> Ports {
        Ports { vault: Arc::new(self.secrets.vault()), ..self.ports.clone() }
    }

    pub(super) async fn key_set(&self) -> KeySet {
        self.secrets.key_set("shop").await
    }

    /// The generation that the store asks for.
    pub(super) async fn least_generation(&self) -> u64 {
        let domain = self.store.domain(&"shop".parse().unwrap()).await.unwrap();
        domain.unwrap().least_generation
    }

    /// Which steps Secrets Manager has called for, so far.
    pub(super) fn steps(&self) -> Vec<String> {
        self.function.steps.lock().unwrap().clone()
    }

    /// From now on the function ends before it has done anything when it is called for `step`.
    pub(super) fn die_at(&self, step: Option<&'static str>) {
        *self.function.dies_at.lock().unwrap() = step;
    }

    /// Has Secrets Manager rotate the keys of `shop`, and answers with the version that it made.
    pub(super) async fn rotate(&self) -> Result<String, String> {
        self.rotate_secret("shop", None).await
    }

    pub(super) async fn rotate_secret(
        &self,
        name: &str,
        token: Option<&str>,
    ) -> Result<String, String> {
        // moto forgets the function and the schedule where a call does not repeat them.
        let rules = RotationRulesType::builder().automatically_after_days(30).build();
        let request = self.secrets.client.rotate_secret().secret_id(format!("{PREFIX}{name}"));
        let request = request.rotation_lambda_arn(ARN).rotation_rules(rules);
        let request = request.set_client_request_token(token.map(str::to_owned));
        match request.send().await {
            Ok(answer) => Ok(answer.version_id.unwrap()),
            Err(error) => Err(error.into_service_error().to_string()),
        }
    }

    /// A rotation that has come no further than to an empty pending version, which has this id.
    pub(super) async fn pending(&self) -> String {
        self.die_at(Some("createSecret"));
        assert!(self.rotate().await.is_err());
        self.die_at(None);
        self.secrets.version("shop", "AWSPENDING").await.unwrap()
    }

    /// Calls the function as Secrets Manager does.
    pub(super) async fn step(&self, step: &str, token: &str) -> Result<(), RotationFailure> {
        self.step_of(&format!("{PREFIX}shop"), step, token).await
    }

    pub(super) async fn step_of(
        &self,
        secret: &str,
        step: &str,
        token: &str,
    ) -> Result<(), RotationFailure> {
        let event = json!({ "Step": step, "SecretId": secret, "ClientRequestToken": token });
        let event = serde_json::from_value(event).unwrap();
        self.function.rotation.get().unwrap().handle(&event).await
    }
}
