//! # The broker: whether something fits on a node, and if not, all that is against it
//!
//! Pure. The coordinator asks it about nodes as the graph knows them, a node's agent about itself: one evaluator, so that
//! a no is the same no, in the same words, whoever says it.
//!
//! ```text
//!   Asked (type, labels, least, company, needs)  --+
//!                                                  +--> evaluate --> no Noes: it fits
//!   Facts (labels, objections, Account of room)  --+             \-> every No: code, class, path, numbers, fix
//!
//!   Ranking: the nodes that may take it, the least loaded first, at most so many; nothing is asked of the others
//!   size:    how large a change of what is asked makes a no a yes; the smallest of all nodes' is told
//! ```
//!
//! What must hold:
//! - Nothing is against it exactly when it fits; each condition that fails is told once, with its own path.
//! - The order of noes is fixed: type, policy, static limits, capacity.
//! - `evaluate`, `fits` and `size` are one evaluation: they cannot differ in what they find.
//! - A fix is the most that fits, so that no smaller change would do.
#![forbid(unsafe_code)]

mod evaluate;
mod ledger;
mod no;
mod quantity;
mod rank;
mod smallest;

pub use evaluate::{Asked, Company, Facts, Objection, Wants, evaluate, fits};
pub use ledger::{Account, Ledger};
pub use no::{Class, Fix, No, Value};
pub use quantity::{BadQuantity, bytes, millicores};
pub use rank::{Hint, Load, Ranking};
pub use smallest::{Change, Least, Size, least_size, size};
