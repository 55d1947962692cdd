//! The command line.

use std::path::PathBuf;

use axum::http::HeaderName;
use clap::{ArgGroup, Args, Parser, Subcommand};
use postern_issuer::{
    DomainName, DomainSettings, EdgeName, IssuerUrl, Origin, PushUrl, SigningAlgorithm, Username,
};

/// Logs users in, refreshes sessions, rotates each domain's keys and publishes them.
#[derive(Parser)]
#[command(name = "postern", version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the data is.
#[derive(Args)]
pub(crate) struct Place {
    /// Folder of the database; made if it is missing.
    #[arg(long, global = true, env = "POSTERN_DATA_DIR", default_value = "./postern-data")]
    pub(crate) data_dir: PathBuf,
    /// The data is on AWS, not in a folder: in a `DynamoDB` table, and the keys in Secrets Manager.
    ///
    /// Region and credentials are found as all AWS tools find them.
    #[arg(long, global = true)]
    pub(crate) aws: bool,
    /// The `DynamoDB` table, with `--aws`.
    #[arg(long, global = true, env = "POSTERN_TABLE", value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// What the names of the domains' secrets begin with, with `--aws`, such as `postern/prod/`.
    #[arg(long, global = true, env = "POSTERN_SECRET_PREFIX", value_name = "PREFIX")]
    pub(crate) secret_prefix: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Stored(StoredCommand),
    /// Check a policy, or make one of an Envoy or Istio configuration. Needs no data.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Tell step by step why a gate takes a token, or lets a request pass, or not. Needs no data.
    ///
    /// Prints names, numbers and codes, never a claim, a signature or a secret. Exit code: 0 where it
    /// passes, 4 where it does not, 1 where that cannot be told.
    Explain(Explain),
}

/// The commands that stand on the data.
#[derive(Subcommand)]
pub(crate) enum StoredCommand {
    /// Create and list domains, and end their sessions.
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Create, list and disable users, and end their sessions.
    #[command(subcommand)]
    User(UserCommand),
    /// List, rotate and export a domain's keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Enrol, list and remove the edges that domains hand their keys to.
    #[command(subcommand)]
    Edge(EdgeCommand),
    /// Make the `DynamoDB` table, where no template does.
    #[command(subcommand)]
    Table(TableCommand),
    /// Move domains, users and password hashes in from another system.
    ///
    /// Reads all of the input and writes nothing unless all of it is right. What is there already is
    /// left alone, so the command can be run again. Exit code: 0 when all was carried, 3 when
    /// something was left out, 1 when something is wrong.
    Migrate(Migrate),
    /// Run the service.
    Serve(Serve),
}

#[derive(Subcommand)]
pub(crate) enum DomainCommand {
    /// Create a domain and its first keys.
    Create(CreateDomain),
    /// List all domains.
    List,
    /// End all sessions of a domain. Its users may log in again.
    EndSessions { domain: DomainName },
}

#[derive(Args)]
pub(crate) struct CreateDomain {
    /// 1 to 63 of a-z, 0-9 and `-`.
    pub(crate) name: DomainName,
    /// What tokens are signed with: ES256, HS256, RS256 or `EdDSA`.
    #[arg(long, default_value_t = SigningAlgorithm::Es256)]
    pub(crate) alg: SigningAlgorithm,
    /// The `aud` of tokens [default: the name].
    #[arg(long)]
    pub(crate) audience: Option<String>,
    /// Lifetime of a token, 10 seconds to 24 hours.
    #[arg(long, value_name = "SECONDS", default_value_t = DomainSettings::TOKEN_LIFETIME)]
    pub(crate) token_lifetime: u64,
    /// Lifetime of a session, the token lifetime to 400 days.
    #[arg(long, value_name = "SECONDS", default_value_t = DomainSettings::SESSION_LIFETIME)]
    pub(crate) session_lifetime: u64,
    /// How long caches may keep the published keys, 1 second to 24 hours.
    #[arg(long, value_name = "SECONDS", default_value_t = DomainSettings::JWKS_MAX_AGE)]
    pub(crate) jwks_max_age: u64,
    /// ARN of the function that rotates the domain's keys from now on, with `--aws`.
    #[arg(long, value_name = "ARN")]
    pub(crate) rotation_function: Option<String>,
    /// How often it does, 1 to 1000 days.
    #[arg(long, value_name = "DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rotation_days: u16,
}

#[derive(Subcommand)]
pub(crate) enum TableCommand {
    /// Create it, with on-demand capacity, expiry of old rows and point-in-time recovery.
    Create,
}

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Create a user. The password is the first line of standard input, or asked for.
    Create(UserOfDomain),
    /// List the users of a domain.
    List { domain: DomainName },
    /// Disable a user and end all sessions of theirs.
    Disable(UserOfDomain),
    /// End all sessions of a user, who may log in again.
    EndSessions(UserOfDomain),
}

#[derive(Args)]
pub(crate) struct UserOfDomain {
    pub(crate) domain: DomainName,
    pub(crate) username: Username,
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// List the keys of a domain.
    List { domain: DomainName },
    /// Print the JWK Set that tokens can be checked with.
    Export {
        domain: DomainName,
        /// Print the secrets of an HS256 domain: whoever has them can make tokens.
        #[arg(long)]
        dangerous_secrets: bool,
    },
    /// Tell which key signs next and from when on at the latest, and which edges hold it already.
    Status {
        domain: DomainName,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sign with the next key from now on, and publish a fresh next one.
    ///
    /// The next key has to be known everywhere: every edge that is enrolled for the domain has shown
    /// that it holds it, or the last cache without it has run out. Who takes the keys from the
    /// published key set, and is no enrolled edge, is covered by the second alone: where there are
    /// such, use `--at-bound`.
    Rotate {
        domain: DomainName,
        /// Wait until the next key is known everywhere.
        #[arg(long, conflicts_with_all = ["force", "compromised"])]
        wait: bool,
        /// Whatever edges have shown, not before the last cache without the next key has run out.
        #[arg(long, conflicts_with_all = ["force", "compromised"])]
        at_bound: bool,
        /// Do it even if a cache may not know the next key yet: requests may fail.
        #[arg(long)]
        force: bool,
        /// The current key is in wrong hands: withdraw it and all before it. Implies `--force`.
        ///
        /// Tokens that they signed stop passing: here at once, at edges when they refetch the
        /// keys, within the JWKS max-age. Their users must log in again. If the whole database
        /// has leaked, do it twice: the next key was in it.
        #[arg(long)]
        compromised: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum EdgeCommand {
    /// Enrol an edge and print its credential, a JSON document. It cannot be had again: who has it is
    /// the edge.
    Enrol(EnrolEdge),
    /// List all edges and how each stands with the keys of its domains.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Cut an edge off. What it holds it may go on with until that runs out: a day at most.
    ///
    /// It knows the secrets of its HS256 domains. Where it is in wrong hands, withdraw them, too:
    /// `keys rotate --compromised`, twice, since it knows the next one as well.
    Remove { name: EdgeName },
}

#[derive(Args)]
pub(crate) struct EnrolEdge {
    /// 1 to 63 of a-z, 0-9, `-`, `_` and `.`.
    pub(crate) name: EdgeName,
    /// Domain whose keys it may have; may be given more than once.
    #[arg(long, required = true)]
    pub(crate) domain: Vec<DomainName>,
    /// URL that the service is reached by, as `serve` has it.
    #[arg(long, env = "POSTERN_ISSUER_URL")]
    pub(crate) issuer_url: IssuerUrl,
    /// URL at which the edge is told that something has changed, `https` or of this machine.
    #[arg(long)]
    pub(crate) push_url: Option<PushUrl>,
}

#[derive(Args)]
#[command(group(ArgGroup::new("input").required(true).multiple(true)))]
pub(crate) struct Migrate {
    /// Files of JSON lines, or `-` for standard input: `{"type": "domain", "name": "shop"}`, `{"type":
    /// "user", "domain": "shop", "username": "ada", "password_hash": "$2b$..."}`.
    #[arg(group = "input")]
    pub(crate) files: Vec<PathBuf>,
    /// File of one JSON object of domains and the secrets that they sign HS256 with.
    #[arg(long, value_name = "FILE", group = "input")]
    pub(crate) old_secrets: Vec<PathBuf>,
    /// File of the items of a DynamoDB table; those whose `doc_type` is `user` are moved in. JSON
    /// lines, an export to S3, or what `aws dynamodb scan` prints.
    #[arg(long, value_name = "FILE", group = "input")]
    pub(crate) old_table: Vec<PathBuf>,
    /// What an item calls the user's domain; if it does not say, it is the `id` before `#`.
    #[arg(long, value_name = "NAME", default_value = "domain")]
    pub(crate) domain_member: String,
    /// What an item calls the username; if it does not say, it is the `id`, without domain and `#`.
    #[arg(long, value_name = "NAME", default_value = "username")]
    pub(crate) username_member: String,
    /// What an item calls the password hash [default: `password_hash`, `password` or `hash`].
    #[arg(long, value_name = "NAME")]
    pub(crate) password_member: Option<String>,
    /// Check the input and tell what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Address and port to listen on.
    #[arg(long, env = "POSTERN_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// URL that the service is reached by; tokens name it [default: `http://` and the address].
    #[arg(long, env = "POSTERN_ISSUER_URL")]
    pub(crate) issuer_url: Option<IssuerUrl>,
    /// Request header that tokens are read from.
    #[arg(long, default_value = "authorization")]
    pub(crate) token_header: HeaderName,
    /// Origin of a web page that may log in here, refresh and log out, such as
    /// `https://app.example.com`; may be given more than once. Key sets and status lists
    /// are open to all pages.
    #[arg(long, env = "POSTERN_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) allow_origin: Vec<Origin>,
    /// Address and port of a second listener, which answers `/metrics` for Prometheus. It asks for no
    /// credentials: only those who watch should reach it.
    #[arg(long, env = "POSTERN_METRICS_LISTEN", value_name = "ADDR")]
    pub(crate) metrics_listen: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether a gate would take the policy, or which of its members is wrong.
    Check {
        /// File of the policy, or `-` for standard input.
        file: PathBuf,
    },
    /// Print the JSON Schema of policies.
    Schema,
    /// Turn an Envoy `jwt_authn` or an Istio configuration into a policy, on standard output.
    ///
    /// Reads YAML or JSON: an Envoy bootstrap, listener or configuration dump, a `JwtAuthentication`
    /// message, or Istio's `RequestAuthentication` and `AuthorizationPolicy` documents of one
    /// workload. Standard error tells what was decided, and what could not be carried: where that
    /// would let in more, the rule around it denies. Exit code: 0 when all was carried, 3 when
    /// something was left out, 1 when there is no policy.
    Import(ImportPolicy),
}

#[derive(Args)]
pub(crate) struct Explain {
    /// File of the policy.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// File of a JWK Set, for the providers whose keys are not in the policy, or for one of them.
    #[arg(long, value_name = "[PROVIDER=]FILE")]
    pub(crate) keys: Vec<String>,
    /// The time, in seconds since 1970 [default: now].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) now: Option<f64>,
    /// The domain, for providers that have domains.
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// A whole request instead of the token alone, such as `GET /orders`. The token is its bearer
    /// token, unless the target or a header says `{token}`.
    #[arg(long, value_name = "METHOD TARGET")]
    pub(crate) request: Option<String>,
    /// A header of that request, `name: value`.
    #[arg(long, value_name = "HEADER", requires = "request")]
    pub(crate) header: Vec<String>,
    /// The token, or `-` for standard input, where other users do not see it.
    pub(crate) token: String,
}

#[derive(Args)]
pub(crate) struct ImportPolicy {
    /// File of the configuration, or `-` for standard input.
    pub(crate) file: PathBuf,
    /// Which of several `jwt_authn` filters, counted from 1.
    #[arg(long, value_name = "N")]
    pub(crate) filter: Option<usize>,
}
