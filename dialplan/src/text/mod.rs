//! TOML text with exact places: the document as a tree of owned values that know where they stand,
//! the errors found in it, and how both are shown to an admin.

mod diagnostic;
mod suggest;
mod value;

pub use diagnostic::{Diagnostic, Place, Report, SourceFile, Sources};
pub use suggest::nearest;
pub use value::{Entry, Kind, Table, Value, parse};
