//! The plugins of one virtual machine: one for each policy, as Envoy lets filters of one `vm_id` and
//! one module share the machine of a thread, and the old and the new one while a configuration
//! changes.

use std::collections::BTreeMap;

use crate::{
    credentials::{self, Credentials},
    exports::Action,
    plugin::Plugin,
};

/// All of them, and whose requests are whose.
pub(crate) struct Plugins {
    by_id: BTreeMap<u32, Plugin>,
    /// What the machine was given to show to issuers.
    credentials: Credentials,
    /// The requests that were announced and whose headers are still to come, and their plugins. Mostly
    /// one; but what the proxy has put off, it does in between, and that may be other requests.
    announced: Vec<(u32, u32)>,
    /// The plugins of those requests that will be heard of again.
    requests: BTreeMap<u32, u32>,
}

impl Default for Plugins {
    fn default() -> Self {
        let (by_id, announced, requests) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { by_id, credentials: Ok(Vec::new()), announced, requests }
    }
}

impl Plugins {
    /// The machine has started.
    pub(crate) fn start(&mut self) {
        self.credentials = credentials::read();
    }

    pub(crate) fn create(&mut self, context_id: u32, parent_context_id: u32) {
        if parent_context_id == 0 {
            self.by_id.insert(context_id, Plugin::new(context_id));
        } else {
            self.announced.push((context_id, parent_context_id));
        }
    }

    pub(crate) fn delete(&mut self, context_id: u32) {
        if !self.announced.is_empty() {
            self.take_announced(context_id);
        }
        if let Some(plugin_id) = self.requests.remove(&context_id) {
            if let Some(plugin) = self.by_id.get_mut(&plugin_id) {
                plugin.forget(context_id);
            }
        } else if let Some(mut plugin) = self.by_id.remove(&context_id) {
            plugin.close();
        }
    }

    pub(crate) fn configure(&mut self, context_id: u32) -> bool {
        let plugin = self.by_id.get_mut(&context_id);
        plugin.is_some_and(|plugin| plugin.configure(&self.credentials))
    }

    pub(crate) fn tick(&mut self, context_id: u32) {
        if let Some(plugin) = self.by_id.get_mut(&context_id) {
            plugin.work();
        }
    }

    pub(crate) fn fetched(&mut self, context_id: u32, token: u32) {
        if let Some(plugin) = self.by_id.get_mut(&context_id) {
            plugin.fetched(token);
        }
    }

    /// A request of no plugin, or of one that has no policy, stays where it is.
    pub(crate) fn request(&mut self, context_id: u32, is_whole: bool) -> Action {
        let known = self.take_announced(context_id);
        let Some(plugin_id) = known.or_else(|| self.requests.get(&context_id).copied()) else {
            return Action::StopAll;
        };
        let Some(plugin) = self.by_id.get_mut(&plugin_id) else { return Action::StopAll };
        let action = plugin.request(context_id);
        if !is_whole || action == Action::StopAll {
            self.requests.insert(context_id, plugin_id);
        }
        action
    }

    fn take_announced(&mut self, context_id: u32) -> Option<u32> {
        let place = self.announced.iter().rposition(|(announced, _)| *announced == context_id)?;
        Some(self.announced.swap_remove(place).1)
    }

    pub(crate) fn trailers(&mut self, context_id: u32) -> Action {
        let plugin_id = self.requests.get(&context_id);
        let plugin = plugin_id.and_then(|plugin_id| self.by_id.get(plugin_id));
        plugin.map_or(Action::StopAll, Plugin::trailers)
    }
}
