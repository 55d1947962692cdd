//! The store on DynamoDB when that is throttled, slow, down or cut off in the middle of something.

mod clocks;
mod crowds;
mod halves;
mod lost_answers;
mod outages;
