//! One HTTP request.

use std::{cell::RefCell, rc::Rc};

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::gate::{Gate, Passage};

/// A request on its way through the gate.
pub(crate) struct GatedRequest {
    context_id: u32,
    gate: Rc<RefCell<Gate>>,
}

impl GatedRequest {
    pub(crate) fn new(context_id: u32, gate: Rc<RefCell<Gate>>) -> Self {
        Self { context_id, gate }
    }
}

impl Context for GatedRequest {}

impl HttpContext for GatedRequest {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match self.gate.borrow_mut().pass(self.context_id) {
            Passage::Open => Action::Continue,
            Passage::Shut | Passage::Held => Action::Pause,
        }
    }
}

impl Drop for GatedRequest {
    /// A client that gave up must not be woken.
    fn drop(&mut self) {
        if let Ok(mut gate) = self.gate.try_borrow_mut() {
            gate.waiting.remove(&self.context_id);
        }
    }
}
