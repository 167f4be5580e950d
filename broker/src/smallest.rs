//! The smallest change of what is asked that would fit somewhere.

use std::fmt;
use std::ops::ControlFlow;

use mainstay_protocol::NodeName;
use mainstay_protocol::room::Room;

use crate::evaluate::{Against, Asked, Facts, Number, Smaller, each, numbers};
use crate::no::{Fix, No};

/// With all of this it fits on that node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub node: NodeName,
    pub fixes: Vec<Fix>,
}

/// How large a change is: how many fields, and how much of them, each as a share of what was asked. The fewest come first;
/// of as many, the least taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    fields: usize,
    off: u64,
}

/// A value that is left out, or is another word, is all of it.
const WHOLE: u64 = 1_000_000;

/// The least that a change comes to, by what little is known of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// It may fit as it is.
    Nothing,
    Size(Size),
    /// It does not fit, and no change helps.
    NoChange,
}

/// The size of the change with which it fits there. None where it fits already, and where no change of the wish helps: what
/// is against it is for others to lift, or nothing is free there.
pub fn size(asked: &Asked<'_>, facts: &Facts<'_>) -> Option<Size> {
    let mut size = Size { fields: 0, off: 0 };
    let helps = each(asked, facts, |against| {
        size.off += match against {
            Against::Type | Against::Said(_) | Against::Name { .. } => {
                return ControlFlow::Break(());
            }
            Against::Label { .. } | Against::Company(_) | Against::Port { .. } => WHOLE,
            Against::Number(number) => match share_off(&number) {
                Some(share) => share,
                None => return ControlFlow::Break(()),
            },
        };
        size.fields += 1;
        ControlFlow::Continue(())
    });
    (helps.is_continue() && size.fields > 0).then_some(size)
}

/// No change with which it fits on a node of which this is known is smaller: amounts, and how many other fields there is
/// something against.
pub fn least_size(asked: &Asked<'_>, (offers, taken): (Room, Room), others: usize) -> Least {
    let mut size = Size {
        fields: others,
        off: WHOLE * others as u64,
    };
    let helps = numbers(asked, (offers, taken), &mut |number| {
        let Some(share) = share_off(&number) else {
            return ControlFlow::Break(());
        };
        size.fields += 1;
        size.off += share;
        ControlFlow::Continue(())
    });
    match (helps, size.fields) {
        (ControlFlow::Break(()), _) => Least::NoChange,
        (ControlFlow::Continue(()), 0) => Least::Nothing,
        (ControlFlow::Continue(()), _) => Least::Size(size),
    }
}

impl Change {
    /// What a node's noes ask for. None where there are none, or where a change of one of them does not help.
    pub fn of(node: &NodeName, noes: &[No]) -> Option<Self> {
        let fixes: Option<Vec<Fix>> = noes.iter().map(|no| no.fix.clone()).collect();
        let node = node.clone();
        let fixes = fixes.filter(|fixes| !fixes.is_empty())?;
        Some(Self { node, fixes })
    }
}

/// `needs.memory: 2GiB, target.all.rack left out`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fix) in self.fixes.iter().enumerate() {
            let between = if at == 0 { "" } else { ", " };
            write!(f, "{between}{fix}")?;
        }
        Ok(())
    }
}

/// None where no smaller amount helps.
fn share_off(number: &Number) -> Option<u64> {
    let left = match number.smaller() {
        Smaller::To(left) => left.amount(),
        Smaller::LeftOut => None,
        Smaller::None => return None,
    };
    Some(match (number.requested.amount(), left) {
        (Some(asked), Some(left)) if asked > 0 => {
            let off = u128::from(asked.saturating_sub(left));
            (off * u128::from(WHOLE)).div_ceil(u128::from(asked)) as u64
        }
        (_, _) => WHOLE,
    })
}
