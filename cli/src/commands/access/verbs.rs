//! What each command asks of a station, for `can-i`: who may ask that may give the command.

use mainstay_api::routes::{self, Route};

/// What each command asks of a station.
pub const VERBS: &[(&str, Route)] = &[
    ("status", routes::STATUS),
    ("get", routes::RESOURCE),
    ("describe", routes::RESOURCE),
    ("why", routes::WHY),
    ("impact", routes::IMPACT),
    ("graph", routes::GRAPH),
    ("events", routes::EVENTS),
    ("decisions", routes::DECISIONS),
    ("logs", routes::INSTANCE_LOGS),
    ("wait", routes::WAIT),
    ("plan", routes::PLAN),
    ("apply", routes::APPLY),
    ("start", routes::START),
    ("stop", routes::INSTANCE_STOP),
    ("restart", routes::INSTANCE_RESTART),
    ("move", routes::INSTANCE_MOVE),
    ("clear", routes::INSTANCE_CLEAR),
    ("check", routes::INSTANCE_CHECK),
    ("ask-status", routes::INSTANCE_STATUS),
    ("call", routes::INSTANCE_MESSAGE),
    ("answer", routes::ASKED_ANSWER),
    ("reconfigure", routes::PLACEMENT_RECONFIGURE),
    ("placement rollback", routes::PLACEMENT_ROLLBACK),
    ("delete", routes::PLACEMENT_DELETE),
    ("settings get", routes::SETTINGS),
    ("settings set", routes::SETTINGS_PUT),
    ("parked requeue", routes::PARKED_REQUEUE),
    ("parked drop", routes::PARKED_DROP),
    ("rule disable", routes::RULE_DISABLE),
    ("rule enable", routes::RULE_ENABLE),
    ("node cordon", routes::NODE_CORDON),
    ("node drain", routes::NODE_DRAIN),
    ("node uncordon", routes::NODE_UNCORDON),
    ("node label", routes::NODE_LABELS),
    ("node confirm-dead", routes::NODE_CONFIRM_DEAD),
    ("node restart", routes::NODE_RESTART),
    ("node remove", routes::NODE_REMOVE),
    ("maintenance on", routes::NODE_MAINTENANCE),
    ("maintenance off", routes::NODE_MAINTENANCE_OVER),
    ("station add", routes::STATION_ADD),
    ("station remove", routes::STATION_REMOVE),
    ("station lead", routes::STATION_LEAD),
    ("chaos", routes::CHAOS),
    ("token create", routes::TOKEN_CREATE),
    ("token list", routes::TOKENS),
    ("token revoke", routes::TOKEN_REVOKE),
    ("identity list", routes::IDENTITIES),
    ("identity revoke", routes::IDENTITY_REVOKE),
    ("identity group set", routes::GROUP_PUT),
    ("identity group remove", routes::GROUP_DELETE),
    ("identity group list", routes::GROUPS),
    ("cert list", routes::CERTIFICATES),
    ("cert rotate", routes::CERTIFICATE_ROTATE),
    ("secret set", routes::SECRET_PUT),
    ("secret list", routes::SECRETS),
    ("orchestration apply", routes::ORCHESTRATION_PUT),
    ("orchestration list", routes::ORCHESTRATIONS),
    ("orchestration show", routes::ORCHESTRATION),
    ("orchestration delete", routes::ORCHESTRATION_DELETE),
    ("activity apply", routes::ACTIVITY_PUT),
    ("activity list", routes::ACTIVITIES),
    ("activity show", routes::ACTIVITY),
    ("activity delete", routes::ACTIVITY_DELETE),
    ("run start", routes::RUN_START),
    ("run list", routes::RUNS),
    ("run show", routes::RUN),
    ("run follow", routes::RUN),
    ("run pause", routes::RUN_PAUSE),
    ("run resume", routes::RUN_RESUME),
    ("run cancel", routes::RUN_CANCEL),
    ("run retry", routes::RUN_RETRY),
    ("run dispose", routes::RUN_DISPOSE),
    ("run complete", routes::STEP_DONE),
    ("run forget", routes::RUN_FORGET),
    ("service register", routes::SERVICE_PUT),
    ("service list", routes::SERVICES),
    ("service show", routes::SERVICE),
    ("service delete", routes::SERVICE_DELETE),
    ("order", routes::ORDER_PLACE),
    ("order list", routes::ORDERS),
    ("order show", routes::ORDER),
    ("artifact put", routes::ARTIFACT_PUT),
    ("artifact list", routes::ARTIFACTS),
    ("artifact show", routes::ARTIFACT),
    ("artifact get", routes::ARTIFACT_CONTENT),
    ("artifact delete", routes::ARTIFACT_DELETE),
    ("backup", routes::BACKUP),
];

#[cfg(test)]
mod tests {
    use mainstay_api::routes::{ALL, Method, Needs};

    use super::*;

    /// Asked by no command, or along with another one by the same.
    const NOBODYS: &[Route] = &[
        routes::PLACEMENT_PUT,
        routes::ACTIVITY_CREATE,
        routes::ORCHESTRATION_CREATE,
        routes::SERVICE_CREATE,
        routes::SCHEMAS,
        routes::SCHEMA,
        routes::PERSON_REVOKE,
        routes::INSTANCE_SAFE_START,
        routes::SUPERVISOR_CHECK,
        routes::SUPERVISOR_STATUS,
        routes::STATION_CHECK,
        routes::STATION_STATUS,
        routes::MAINTENANCE,
        routes::MAINTENANCE_OVER,
        routes::PLACEMENT_MAINTENANCE,
        routes::PLACEMENT_MAINTENANCE_OVER,
    ];

    #[test]
    fn every_change_and_every_copy_of_all_has_its_command() {
        let asked = |route: &&Route| route.method != Method::Get || **route == routes::BACKUP;
        let persons = |route: &&Route| !matches!(route.needs, Needs::Nobody | Needs::Station);
        for route in ALL.iter().filter(asked).filter(persons) {
            let known = VERBS.iter().any(|(_, of)| of == route) || NOBODYS.contains(route);
            assert!(known, "can-i knows no command for {route}");
        }
    }
}
