//! What an import has to tell: what it left out, and what it decided.

use std::fmt;

/// Notes in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

#[derive(Debug, PartialEq, Eq)]
struct Note {
    kind: Kind,
    place: String,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        !self.0.iter().any(|note| note.kind == Kind::LeftOut)
    }

    fn add(&mut self, kind: Kind, place: String, text: String) {
        let note = Note { kind, place, text };
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

/// One line each.
impl fmt::Display for Notes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Note { kind, place, text } in &self.0 {
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
