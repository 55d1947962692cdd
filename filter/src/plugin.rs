//! One policy in one worker thread: its configuration, and whose callback is whose.

use std::time::Duration;

use postern_verify::{EdgeCredential, Gate, Policy, PolicyError};

use crate::{
    credentials::Credentials,
    exports::Action,
    host::{self, LogLevel},
    key_exchange::instance,
    post::Post,
    signatures::ProxySignatures,
    station::Passage,
};

/// How often to look at what is due at first.
const FIRST_TICK: Duration = Duration::from_millis(20);

/// The plugin, once per worker thread and policy.
pub(crate) struct Plugin {
    context_id: u32,
    post: Option<Post>,
}

impl Plugin {
    pub(crate) fn new(context_id: u32) -> Self {
        Self { context_id, post: None }
    }

    /// Reads the policy. Whether it is one, and what the edge was given besides is in order.
    pub(crate) fn configure(&mut self, credentials: &Credentials) -> bool {
        let edges = match credentials {
            Ok(edges) => edges.clone(),
            Err(error) => {
                host::log(LogLevel::Critical, &format!("postern: bad credential: {error}"));
                return false;
            }
        };
        match gate(&host::plugin_configuration(), edges) {
            Ok(gate) => {
                self.post = Some(Post::new(gate));
                host::tick_every(FIRST_TICK);
                true
            }
            Err(error) => {
                host::log(LogLevel::Critical, &format!("postern: bad policy: {error}"));
                false
            }
        }
    }

    /// Without a policy, nothing passes.
    pub(crate) fn request(&mut self, context_id: u32) -> Action {
        match self.post.as_mut().map(|post| post.station.pass(context_id)) {
            Some(Passage::Open) => Action::Continue,
            Some(Passage::Shut | Passage::Held) | None => Action::StopAll,
        }
    }

    /// Some services take trailers for headers, and a header that tells who the client is must not be
    /// the client's own.
    pub(crate) fn trailers(&self) -> Action {
        let (Some(post), Some(trailers)) = (&self.post, host::request_trailers()) else {
            return Action::StopAll;
        };
        let Some(names) = trailers.names() else { return Action::StopAll };
        let policy = post.station.gate.policy();
        let mut spoofed = names.into_iter().filter(|name| policy.is_identity_header(name));
        if spoofed.any(|name| host::remove_trailer(name).is_err()) {
            return Action::StopAll;
        }
        Action::Continue
    }

    /// Does what is due.
    pub(crate) fn work(&mut self) {
        if let Some(post) = &mut self.post {
            post.work(self.context_id);
        }
    }

    /// A fetch of this thread has ended.
    pub(crate) fn fetched(&mut self, token: u32) {
        if let Some(post) = &mut self.post {
            post.fetched(token);
            post.work(self.context_id);
        }
    }

    /// A request is over.
    pub(crate) fn forget(&mut self, context_id: u32) {
        if let Some(post) = &mut self.post {
            post.station.forget(context_id);
        }
    }

    /// The plugin is over.
    pub(crate) fn close(&mut self) {
        if let Some(post) = &mut self.post {
            post.close();
        }
    }
}

/// The threads of a fleet start at many times, and so they do not all fetch at one.
fn gate(document: &[u8], edges: Vec<EdgeCredential>) -> Result<Gate, PolicyError> {
    let now = host::now().unwrap_or_default();
    let seed = u64::try_from(now.as_nanos()).unwrap_or_default();
    // Who shares what it fetches is one with the others to the issuer.
    let instance = if host::has_own_vm_id() { instance(now) } else { seed };
    Gate::new(policy(document)?)
        .with_jitter_seed(seed)
        .with_instance(instance)
        .with_signatures(Box::new(ProxySignatures::default()))
        .with_edges(edges)
}

/// Envoy reaches a key set through a cluster only, so here `cluster` is not optional.
fn policy(document: &[u8]) -> Result<Policy, PolicyError> {
    let policy = Policy::parse(document)?;
    for (member, http_uri) in policy.http_uris() {
        if http_uri.cluster.as_deref().unwrap_or_default().is_empty() {
            let reason = "Envoy needs the cluster that leads to `uri`";
            return Err(PolicyError::new(format!("{member}.cluster"), reason));
        }
    }
    Ok(policy)
}
