//! Postern's issuer: logs users in, refreshes sessions, rotates each domain's keys and
//! publishes them for the edges.
//!
//! [`router`] is the service; it stands on two storage ports, [`Store`] and [`Vault`], and on a
//! [`Clock`]. [`Sqlite`] implements both storage ports in one file. What an operator does is on
//! [`Ports`]; the `postern` command is a thin shell over it.

mod account;
mod administration;
pub mod authorizer;
pub mod aws;
mod clock;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod domain;
mod dynamodb;
mod edge;
mod failed_logins;
mod http;
mod http_client;
mod issuer;
mod issuer_url;
mod key;
mod key_set;
pub mod lambda;
mod metrics;
mod migration;
mod origin;
mod password;
mod rs256;
mod secret;
mod secret_rotation;
mod secrets_manager;
mod serve;
mod session;
mod sqlite;
mod status_list;
mod store;
mod token;
mod user;
mod vault;
mod verification;

pub use crate::{
    account::Account,
    administration::{
        AdministrationError, Enrolment, ImportMode, Imported, ImportedDomain, ImportedUser,
        KeysStatus, ListedDomain, Ports, UserState,
    },
    clock::{Clock, SystemClock, Timestamp},
    domain::{Domain, DomainError, DomainName, DomainSettings},
    dynamodb::{DynamoDb, create_table},
    edge::{
        Contact, Edge, EdgeId, EdgeKey, EdgeName, EdgeNameError, EdgePush, EdgeStanding, EdgeState,
        PushUrl, PushUrlError,
    },
    failed_logins::LoginFailures,
    http::router,
    issuer::{Failure, Identity, Issuer, Refusal, TokenStatus},
    issuer_url::{IssuerUrl, IssuerUrlError},
    key::{Key, KeyError, PublicKey, SigningAlgorithm},
    key_set::{ExportError, KeySet, KeyState, PreviousKey, Publication, Rotation, RotationError},
    metrics::metrics_router,
    migration::{Migration, MigrationError, MigrationReport, TableMembers, Tally},
    origin::{Origin, OriginError},
    password::{PasswordError, PasswordHashError},
    secret::{SecretBytes, SecretText},
    secret_rotation::{RotationEvent, RotationFailure, RotationStep, SecretRotation},
    secrets_manager::SecretsManager,
    serve::{serve, stop_signal},
    session::{EndReason, RefreshHash, Session},
    sqlite::Sqlite,
    status_list::{ListPublication, NotBefore, StatusPlace},
    store::{Store, StoreError},
    token::IssuedToken,
    user::{PasswordHash, User, Username, UsernameError},
    vault::{KeySetId, Vault},
};
