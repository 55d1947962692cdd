//! SIEVE's queue: a doubly linked list over a dense slab, and the hand that picks what to give up.
//!
//! Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024. An item enters at the newest end and
//! never moves; a visit only sets its bit. The hand goes from the oldest to the newest and round
//! again, takes the bit from each visited item and stops at the first that has none.

/// An index where no item is. The slab never gets there: a `Vec` holds at most `isize::MAX` bytes.
const NONE: usize = usize::MAX;

/// A queue of items. An index is valid until the next [`Sieve::remove`].
///
/// The slab has no holes and so needs no free list: the last item fills the place of a removed
/// one. Indices are `usize`, which is `u32` in Wasm, where this mostly runs.
#[derive(Debug)]
pub(super) struct Sieve<T> {
    nodes: Vec<Node<T>>,
    newest: usize,
    oldest: usize,
    /// Where the next search begins; at the oldest, if [`NONE`].
    hand: usize,
}

#[derive(Debug)]
struct Node<T> {
    item: T,
    newer: usize,
    older: usize,
    visited: bool,
}

impl<T> Sieve<T> {
    /// Bytes of the slab that an item takes up, at most: [`Sieve::trim`] allows as much room again
    /// as is in use.
    pub(super) const ITEM_BYTES: usize = 2 * size_of::<Node<T>>();

    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new(), newest: NONE, oldest: NONE, hand: NONE }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.nodes.get(index).map(|node| &node.item)
    }

    /// The item that came first of all.
    pub(super) fn oldest(&self) -> Option<usize> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The item, which from now on counts as visited.
    pub(super) fn visit(&mut self, index: usize) -> Option<&T> {
        let node = self.nodes.get_mut(index)?;
        node.visited = true;
        Some(&node.item)
    }

    /// Adds an item at the newest end, not visited yet, and says where it is.
    pub(super) fn push(&mut self, item: T) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node { item, newer: NONE, older: self.newest, visited: false });
        self.link_newer(self.newest, index);
        self.newest = index;
        index
    }

    /// Moves the hand to the item to give up next: the first that was not visited since the hand
    /// last passed, or that is `dead`. None only where there is no item.
    pub(super) fn candidate(&mut self, dead: impl Fn(&T) -> bool) -> Option<usize> {
        loop {
            if self.hand == NONE {
                self.hand = self.oldest;
            }
            // Ends within a round: each step takes a bit away.
            let node = self.nodes.get_mut(self.hand)?;
            if !node.visited || dead(&node.item) {
                return Some(self.hand);
            }
            node.visited = false;
            self.hand = node.newer;
        }
    }

    /// Takes an item out. The last of the slab, if it is another, now stands at this `index`.
    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        let Node { newer, older, .. } = *self.nodes.get(index)?;
        self.link_older(newer, older);
        self.link_newer(older, newer);
        if self.hand == index {
            self.hand = newer;
        }
        let removed = self.nodes.swap_remove(index);
        self.relink_moved(self.nodes.len(), index);
        Some(removed.item)
    }

    /// Gives room of the slab back where less than half is used, so that it is never more than
    /// twice what the items need. What stays lets neither this nor the next growth come soon.
    pub(super) fn trim(&mut self) {
        if self.nodes.capacity() / 2 > self.nodes.len() {
            self.nodes.shrink_to(self.nodes.len() / 2 * 3);
        }
    }

    fn relink_moved(&mut self, from: usize, to: usize) {
        let Some(Node { newer, older, .. }) = self.nodes.get(to) else {
            return;
        };
        let (newer, older) = (*newer, *older);
        self.link_older(newer, to);
        self.link_newer(older, to);
        if self.hand == from {
            self.hand = to;
        }
    }

    /// Sets the older neighbour of the item at `index`; past the newest, the newest itself.
    fn link_older(&mut self, index: usize, older: usize) {
        match self.nodes.get_mut(index) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
    }

    /// Sets the newer neighbour of the item at `index`; past the oldest, the oldest itself.
    fn link_newer(&mut self, index: usize, newer: usize) {
        match self.nodes.get_mut(index) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }
}
