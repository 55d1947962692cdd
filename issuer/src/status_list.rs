//! Status lists: from them edges learn which sessions are over (draft-ietf-oauth-status-list-20).

mod bit_list;
mod document;
mod not_before;
mod place;
mod published;
mod shelf;

pub use self::{document::ListPublication, not_before::NotBefore, place::StatusPlace};
pub(crate) use self::{
    document::StatusClaim, place::PlaceKey, published::PublishedList, shelf::Shelf,
};
