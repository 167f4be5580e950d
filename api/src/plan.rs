//! `plan`: what wishes would change, by a pure function of them and a view. Nothing here writes; what is applied goes to
//! the coordinator with the generations seen here, and is judged there once more.
//!
//! ```text
//! wishes -> read -> judge against the view -> flaws, all at once, each with its path
//!                            |
//!                            +-> changes: fields old -> new, instances, order
//! ```

mod change;
mod difference;
mod effects;
mod judge;
mod order;
mod read;

#[cfg(test)]
mod tests;

use mainstay_resource_graph::{View, ViewExt};

use crate::types::{PLAN_FORMAT, Plan, PlanMode, PlanRequest, WishFlaw};

pub use change::SETTINGS_REFERENCE;
pub use difference::difference;
pub use read::placement_spec;

/// What the wishes come to; or everything that is wrong with them.
pub fn plan(view: &dyn View, request: &PlanRequest) -> Result<Plan, Vec<WishFlaw>> {
    let mut flaws = Vec::new();
    let wishes = read::wishes(view, request, &mut flaws);
    judge::judge(view, &wishes, request.mode, &mut flaws);
    if !flaws.is_empty() {
        flaws.sort_by(|a, b| (a.wish, &a.flaw.path).cmp(&(b.wish, &b.flaw.path)));
        return Err(flaws);
    }
    let changes = match request.mode {
        PlanMode::Apply => change::applied(view, &wishes),
        PlanMode::Prune => {
            let mut changes = change::applied(view, &wishes);
            changes.extend(change::pruned(view, &wishes));
            changes
        }
        PlanMode::Delete => change::deleted(view, &wishes),
    };
    Ok(Plan {
        format: PLAN_FORMAT,
        cluster: view
            .cluster()
            .map(|cluster| cluster.id.to_string())
            .unwrap_or_default(),
        revision: view.revision().0,
        mode: request.mode,
        changes: order::ordered(view, changes),
    })
}
