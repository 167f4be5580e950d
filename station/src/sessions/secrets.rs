//! Answers agents that ask for what an instance of theirs is to be given. Only who leads does: it alone knows what is to run.

use mainstay_coordinator::secrets::handed_out;
use mainstay_protocol::NodeName;
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::secret::{SecretAnswer, SecretBytes, SecretWanted};

use crate::shared::Shared;

pub fn answer(shared: &Shared, node: &NodeName, wanted: &SecretWanted) -> SecretAnswer {
    match given(shared, node, wanted) {
        Ok(bytes) => {
            tracing::info!(%node, instance = %wanted.instance, secret = %wanted.name, "a secret is handed over");
            SecretAnswer::Given(bytes)
        }
        Err(refusal) => {
            tracing::warn!(%node, instance = %wanted.instance, secret = %wanted.name, why = refusal.text, code = %refusal.code, "a secret is not handed over");
            SecretAnswer::Refused(refusal)
        }
    }
}

fn given(shared: &Shared, node: &NodeName, wanted: &SecretWanted) -> Result<SecretBytes, Refusal> {
    if !shared.leads() {
        return Err(Refusal::new(code::ANOTHER_LEADS, "it does not lead"));
    }
    let secret = handed_out(&shared.store.view(), node, wanted)?;
    let no_key = |why: &str| Refusal::new(code::NO_SEAL_KEY, why);
    let access = shared
        .access
        .as_deref()
        .ok_or_else(|| no_key("this station has no key to what is sealed"))?;
    let bytes = access.unseal(wanted.name.as_str(), &secret.sealed);
    bytes
        .map(SecretBytes::new)
        .map_err(|problem| no_key(&problem.why))
}
