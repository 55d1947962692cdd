//! draw
use super::report::Report;
pub(super) fn draw(_report: &Report) -> String {
    String::new()
}
