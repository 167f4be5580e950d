//! What types declare, and which of them cannot be provided together.

use mainstay_service::protocol::report::RestartWhen;
use mainstay_service::{
    Busy, CannotStart, Context, NoConfig, NoMessage, Service, TypeInfo, TypeSet, TypesClash,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
struct Limit {
    /// So many.
    limit: u32,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, reason = "only its schema is of interest")]
enum Count {
    CountUp { by: u32 },
    Reset,
}

macro_rules! service {
    ($name:ident, $config:ty, $message:ty, $info:expr) => {
        struct $name;
        impl Service for $name {
            type Config = $config;
            type Message = $message;
            type Probe = Busy;
            const TYPE: TypeInfo = $info;
            async fn start(_: $config, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
                Ok((Self, ctx.busy()))
            }
        }
    };
}

service!(
    Counter,
    Limit,
    Count,
    TypeInfo::new("counter", "1.0.0").may_use(&["disk"])
);
service!(
    OtherConfig,
    NoConfig,
    Count,
    TypeInfo::new("counter", "1.0.0")
);
service!(
    OtherMessages,
    Limit,
    NoMessage,
    TypeInfo::new("counter", "1.0.0")
);
service!(Newer, Limit, Count, TypeInfo::new("counter", "1.1.0"));
service!(
    Generic,
    Limit,
    Count,
    TypeInfo::new("generic", "1.0.0")
        .generic()
        .may_use(&["disk"])
        .restart(RestartWhen::Always)
);
service!(
    Shares,
    Limit,
    Count,
    TypeInfo::new("shares", "1.0.0")
        .holds("counter")
        .may_use(&["disk"])
);
service!(Misnamed, Limit, Count, TypeInfo::new("Mis named", "1.0.0"));

service!(
    UsesMore,
    Limit,
    Count,
    TypeInfo::new("uses-more", "1.0.0").may_use(&["disk", "tape"])
);
service!(
    UsesWithout,
    NoConfig,
    Count,
    TypeInfo::new("uses-without", "1.0.0").may_use(&["tape"])
);
service!(Without, NoConfig, Count, TypeInfo::new("without", "1.0.0"));

#[test]
fn a_declaration_holds_what_the_code_says() {
    let mut types = TypeSet::default();
    types.add::<Counter>().unwrap();
    types.add::<Generic>().unwrap();
    types.add::<Shares>().unwrap();
    let [counter, generic, shares] = types.declarations().try_into().unwrap();
    assert_eq!(counter.holds.unwrap().as_str(), "counter");
    assert_eq!(generic.holds, None);
    assert_eq!(shares.holds.unwrap().as_str(), "counter");
    assert_eq!(generic.restart, RestartWhen::Always);
    assert_eq!(
        (counter.start_deadline_ms, counter.stop_deadline_ms),
        (30_000, 10_000)
    );
    assert_eq!(counter.may_use, ["disk"]);
    assert!(counter.schema.contains("So many."), "{}", counter.schema);
    let mut names: Vec<_> = counter.messages.iter().map(|m| m.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["count-up", "reset"]);
}

#[test]
fn types_that_clash_are_refused_by_name() {
    let mut types = TypeSet::default();
    types.add::<Counter>().unwrap();
    let clash = |result: Result<(), TypesClash>| result.unwrap_err().to_string();
    assert!(clash(types.add::<OtherConfig>()).contains("different configurations"));
    assert!(clash(types.add::<OtherMessages>()).contains("different messages"));
    assert!(clash(types.add::<Newer>()).contains("versions 1.0.0 and 1.1.0"));
    assert!(clash(types.add::<Counter>()).contains("registered twice"));
    assert!(clash(types.add::<Misnamed>()).contains("Mis named"));
    assert_eq!(types.declarations().len(), 1);
}

// proves: S15
#[test]
fn types_that_share_a_configuration_share_what_they_may_use() {
    let mut types = TypeSet::default();
    types.add::<Counter>().unwrap();
    types.add::<Generic>().unwrap();
    let clash = types.add::<UsesMore>().unwrap_err().to_string();
    for told in ["counter", "uses-more", "disk, tape"] {
        assert!(clash.contains(told), "{clash}");
    }
    // Of a configuration in which nothing can be set there is nothing to share.
    types.add::<UsesWithout>().unwrap();
    types.add::<Without>().unwrap();
}
