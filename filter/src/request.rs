//! One HTTP request.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::station::{Passage, Station};

/// A request on its way through the gate.
pub(crate) struct GatedRequest {
    context_id: u32,
    station: Rc<RefCell<Station>>,
    passage: Rc<Cell<Passage>>,
}

impl GatedRequest {
    pub(crate) fn new(context_id: u32, station: Rc<RefCell<Station>>) -> Self {
        Self { context_id, station, passage: Rc::new(Cell::new(Passage::Shut)) }
    }

    fn action(&self) -> Action {
        match self.passage.get() {
            Passage::Open => Action::Continue,
            Passage::Shut | Passage::Held => Action::Pause,
        }
    }
}

impl Context for GatedRequest {}

impl HttpContext for GatedRequest {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.station.borrow_mut().pass(self.context_id, &self.passage);
        self.action()
    }

    /// Continuing here would let the headers go on that wait, where the host is set to call this
    /// while they do (Envoy's `allow_on_headers_stop_iteration`).
    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.action()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.action()
    }
}

impl Drop for GatedRequest {
    fn drop(&mut self) {
        if let Ok(mut station) = self.station.try_borrow_mut() {
            station.forget(self.context_id);
        }
    }
}
