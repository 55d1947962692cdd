//! All rules laid over each other: a list of which the first match decides.

use super::{
    super::{ImportError, Notes},
    need::Need,
    traffic::{Overlap, Traffic},
};

/// Every document doubles the cells at worst; a policy of thousands of rules helps nobody.
const MAX_CELLS: usize = 2_000;

/// What certain requests need, unless a cell before it is for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) traffic: Traffic,
    pub(super) need: Need,
    /// Where in the input it comes from.
    pub(super) place: String,
}

/// Requests of a rule, those that it excepts, and what they need.
#[derive(Debug)]
pub(super) struct Clause<'a> {
    pub(super) traffic: &'a Traffic,
    pub(super) except: &'a [Traffic],
    pub(super) need: &'a Need,
    pub(super) place: &'a str,
}

/// What matches no cell is denied.
#[derive(Debug, Default)]
pub(super) struct Plan(Vec<Cell>);

impl Plan {
    /// Lets in what meets the clause, too.
    pub(super) fn allow(
        &mut self,
        clause: &Clause<'_>,
        notes: &mut Notes,
    ) -> Result<(), ImportError> {
        let mut cells = Vec::new();
        let (mut decided, mut placed) = (false, false);
        for cell in std::mem::take(&mut self.0) {
            if decided {
                if placed {
                    clause.tell_hidden(&cell, notes);
                }
                cells.push(cell);
                continue;
            }
            match cell.traffic.overlap(clause.traffic) {
                Overlap::Nothing => {}
                Overlap::Exactly(shared) => {
                    decided = shared == *clause.traffic;
                    clause.widen(&cell, shared, &mut cells, notes);
                }
                Overlap::Unclear if clause.need.implies(&cell.need) => {}
                // What both are for would need the looser of the two, which may stand first.
                Overlap::Unclear if cell.need.implies(clause.need) && clause.except.is_empty() => {
                    cells.push(clause.cell());
                    (decided, placed) = (true, true);
                }
                Overlap::Unclear => clause.tell_stricter(&cell, notes),
            }
            cells.push(cell);
        }
        if !decided {
            clause.append(&mut cells, notes);
        }
        self.0 = cells;
        self.refuse_many(clause.place)
    }

    /// Lets in what meets the clause only, of those that it is for.
    pub(super) fn restrict(
        &mut self,
        clause: &Clause<'_>,
        notes: &mut Notes,
    ) -> Result<(), ImportError> {
        let mut cells = Vec::new();
        for cell in std::mem::take(&mut self.0) {
            let need = cell.need.and(clause.need);
            match cell.traffic.overlap(clause.traffic) {
                _ if need == cell.need => {}
                Overlap::Nothing => {}
                Overlap::Exactly(shared) => {
                    if !clause.guards(&shared, &cell.need, &cell.place, &mut cells) {
                        let text = "what it excepts cannot be told apart, so it denies that too";
                        notes.left_out(clause.place, text);
                    }
                    let place = clause.place.to_owned();
                    cells.push(Cell { traffic: shared, need, place });
                }
                Overlap::Unclear => {
                    let text = format!(
                        "its paths cannot be told apart from those of `{}`, so it restricts these, too",
                        cell.place
                    );
                    notes.left_out(clause.place, text);
                    let traffic = cell.traffic.narrowed_to(clause.traffic);
                    cells.push(Cell { traffic, need, place: clause.place.to_owned() });
                }
            }
            cells.push(cell);
        }
        self.0 = cells;
        self.refuse_many(clause.place)
    }

    /// The cells that count: none behind one for the same requests, none at the end that is closed.
    pub(super) fn into_cells(self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        for cell in self.0 {
            let covers = |earlier: &Cell| matches!(earlier.traffic.overlap(&cell.traffic), Overlap::Exactly(both) if both == cell.traffic);
            if !cells.iter().any(covers) {
                cells.push(cell);
            }
        }
        while cells.last().is_some_and(|cell| cell.need == Need::Closed) {
            cells.pop();
        }
        cells
    }

    fn refuse_many(&self, place: &str) -> Result<(), ImportError> {
        if self.0.len() > MAX_CELLS {
            let reason = format!("the rules overlap in more than {MAX_CELLS} ways");
            return Err(ImportError::new(place, reason));
        }
        Ok(())
    }
}

impl Clause<'_> {
    fn cell(&self) -> Cell {
        let (traffic, need) = (self.traffic.clone(), self.need.clone());
        Cell { traffic, need, place: self.place.to_owned() }
    }

    /// Behind all cells, what no cell is for needs what the clause does.
    fn append(&self, cells: &mut Vec<Cell>, notes: &mut Notes) {
        if self.guards(self.traffic, &Need::Closed, self.place, cells) {
            cells.push(self.cell());
        } else {
            let text = "it cannot be told apart from what it excepts, so it allows nothing more";
            notes.left_out(self.place, text);
        }
    }

    /// What the clause and an earlier cell share needs either of both.
    fn widen(&self, cell: &Cell, shared: Traffic, cells: &mut Vec<Cell>, notes: &mut Notes) {
        match cell.need.or(self.need) {
            Some(need) if need == cell.need => {}
            Some(need) if self.guards(&shared, &cell.need, &cell.place, cells) => {
                cells.push(Cell { traffic: shared, need, place: self.place.to_owned() });
            }
            _ => self.tell_stricter(cell, notes),
        }
    }

    /// The clause stands before cells that it would have been laid into.
    fn tell_hidden(&self, cell: &Cell, notes: &mut Notes) {
        let apart = cell.traffic.overlap(self.traffic) == Overlap::Nothing;
        if !apart && !cell.need.implies(self.need) {
            let text = format!("it may hide a part of `{}`, which lets in more", cell.place);
            notes.left_out(self.place, text);
        }
    }

    fn tell_stricter(&self, cell: &Cell, notes: &mut Notes) {
        let text = format!(
            "where it and `{}` are for the same requests, only the latter lets them in: one rule \
             cannot say both",
            cell.place
        );
        notes.left_out(self.place, text);
    }

    /// Puts what is excepted of `traffic` before it; false where that cannot be said.
    fn guards(&self, traffic: &Traffic, need: &Need, place: &str, cells: &mut Vec<Cell>) -> bool {
        let mut clear = true;
        for except in self.except {
            match traffic.overlap(except) {
                Overlap::Nothing => {}
                Overlap::Exactly(traffic) => {
                    cells.push(Cell { traffic, need: need.clone(), place: place.to_owned() });
                }
                Overlap::Unclear => clear = false,
            }
        }
        clear
    }
}

#[cfg(test)]
mod tests;
