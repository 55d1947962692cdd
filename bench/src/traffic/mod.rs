//! What the programs share that send requests to a server and count what it spends on them.

pub mod cores;
pub mod figures;
pub mod load;
pub mod origin;
pub mod requests;
pub mod tokens;
