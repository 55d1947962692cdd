//! What an import has to tell: what it left out, and what it decided.

use std::{collections::HashSet, fmt};

/// Notes in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    in_order: Vec<Note>,
    told: HashSet<Note>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Note {
    kind: Kind,
    place: String,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    LeftOut,
    Remark,
}

impl Notes {
    /// Something of the input is not in the policy. The text says what that means, and never
    /// repeats a value that may be a secret.
    pub(super) fn left_out(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.add(Kind::LeftOut, place.into(), text.into());
    }

    /// The policy says in its own words what the input means.
    pub(super) fn remark(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.add(Kind::Remark, place.into(), text.into());
    }

    /// Whether nothing was left out.
    pub(crate) fn is_complete(&self) -> bool {
        !self.in_order.iter().any(|note| note.kind == Kind::LeftOut)
    }

    fn add(&mut self, kind: Kind, place: String, text: String) {
        let note = Note { kind, place, text };
        if self.told.insert(note.clone()) {
            self.in_order.push(note);
        }
    }
}

/// One line each.
impl fmt::Display for Notes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Note { kind, place, text } in &self.in_order {
            let kind = match kind {
                Kind::LeftOut => "left out",
                Kind::Remark => "note",
            };
            let colon = if place.is_empty() { "" } else { ": " };
            // Names in the input may hold anything; a note is one line.
            let line = format!("{kind}: {place}{colon}{text}").replace(char::is_control, " ");
            writeln!(formatter, "{line}")?;
        }
        Ok(())
    }
}
