//! The service types that every agent has.

pub mod flaky;
pub mod greeter;
pub mod noisy;

mod witness;

use mainstay_service::{TypeSet, TypesClash};

pub(crate) fn add_to(types: &mut TypeSet) -> Result<(), TypesClash> {
    types.add::<greeter::Greeter>()?;
    types.add::<noisy::Noisy>()?;
    types.add::<flaky::Flaky>()
}
