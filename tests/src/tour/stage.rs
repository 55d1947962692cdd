//! What the tour runs on: issuer, upstream, Envoy and the Worker, with two domains and a user in each.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Options, Transcript};
use crate::{
    Client, Envoy, EnvoyConfig, Failure, Issuer, Protocol, Upstream, Worker, workspace_root,
};

/// The domain that the gate of `envoy.yaml` trusts.
pub(super) const DOMAIN: &str = "shop";
/// A domain of the same issuer that it does not trust.
pub(super) const OTHER_DOMAIN: &str = "blog";
/// A user of both.
pub(super) const USERNAME: &str = "ada";
/// The user's password.
pub(super) const PASSWORD: &str = "correct-horse-battery-staple";

/// The running programs; they end when this is dropped, Envoy first.
pub(super) struct Stage {
    pub(super) envoy: Envoy,
    pub(super) worker: Worker,
    pub(super) issuer: Issuer,
    pub(super) upstream: Upstream,
    _temporary: Option<TempDir>,
}

impl Stage {
    pub(super) async fn open(
        options: &Options,
        transcript: &mut Transcript,
    ) -> Result<Self, Failure> {
        options.check_ports()?;
        let (folder, temporary) = data_folder(options.once)?;
        let mut issuer = Issuer::on_port(&folder, options.issuer);
        transcript.heading("Set-up", "Two domains at one issuer; the gate trusts only `shop`.");
        populate(&issuer, transcript)?;
        issuer.start().await?;
        transcript.note(&format!("issuer    {}", issuer.url()));
        let upstream = Upstream::start(options.upstream).await?;
        transcript.note(&format!("upstream  http://127.0.0.1:{}", upstream.port()));
        let published = EnvoyConfig::published()?;
        let config = if (Options { once: false, ..options.clone() }) == defaults()? {
            published
        } else {
            published.ports(options.gate, options.issuer, options.upstream, options.admin)?
        };
        let envoy = Envoy::start(&config).await?;
        transcript.note(&format!("Envoy     http://{} (envoy.yaml)", envoy.gate()));
        let origin = format!("http://127.0.0.1:{}", upstream.port());
        let worker = Worker::start(options.worker, &config.read_policy()?, &origin).await?;
        let place = format!("http://127.0.0.1:{}", options.worker);
        transcript.note(&format!("Worker    {place} (the policy of envoy.yaml, in workerd)"));
        Ok(Self { envoy, worker, issuer, upstream, _temporary: temporary })
    }

    /// A client of the gate.
    pub(super) fn gate(&self) -> Client {
        self.envoy.client(Protocol::Http1)
    }
}

fn defaults() -> Result<Options, Failure> {
    Options::parse([]).map_err(Failure::new)
}

/// A folder without anything from an earlier tour.
fn data_folder(once: bool) -> Result<(PathBuf, Option<TempDir>), Failure> {
    let failed = || Failure::while_doing("a folder for the issuer's data");
    if once {
        let temporary = TempDir::new().map_err(failed())?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    }
    let folder = workspace_root().join(".tools/demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed())?;
    }
    std::fs::create_dir_all(&folder).map_err(failed())?;
    Ok((folder, None))
}

fn populate(issuer: &Issuer, transcript: &mut Transcript) -> Result<(), Failure> {
    for domain in [DOMAIN, OTHER_DOMAIN] {
        transcript.command(&format!("postern domain create {domain}"));
        issuer.domain_create(domain, &[])?;
        transcript.command(&format!("postern user create {domain} {USERNAME}"));
        issuer.user_create(domain, USERNAME, PASSWORD)?;
    }
    Ok(())
}
