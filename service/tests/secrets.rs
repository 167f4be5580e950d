//! A field of a configuration that refers to a secret, through the test kit.

use mainstay_service::testing::TestService;
use mainstay_service::{
    Busy, CannotStart, Context, Failure, Reply, Secret, Service, TypeInfo, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Client {
    length: usize,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct ClientConfig {
    password: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Says {
    Length,
}

impl Service for Client {
    type Config = ClientConfig;
    type Message = Says;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("client", "1.0.0");

    async fn start(config: ClientConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        let password = ctx.secret(&config.password).await?;
        let length = password.expose().len();
        Ok((Self { length }, ctx.busy()))
    }

    async fn handle(&mut self, _: Says, _: &Context) -> Result<Reply, Failure> {
        Ok(Reply::json(self.length))
    }
}

#[test]
fn a_service_is_given_what_its_configuration_refers_to_and_shows_the_reference() {
    // proves: U1
    let client = TestService::<Client>::start_with_secrets(
        &[("secret://db", "hunter2")],
        json!({ "password": "secret://db" }),
    )
    .unwrap();
    assert_eq!(client.call("length", json!(null)).unwrap(), 7);
    assert_eq!(client.config(), &json!({ "password": "secret://db" }));
}

#[test]
fn a_start_without_its_secret_says_which_and_a_text_that_is_none_is_refused() {
    // proves: U1
    let start = |password: &str| TestService::<Client>::start(json!({ "password": password }));
    let why = start("secret://db").err().unwrap().text;
    assert!(
        why.contains("secret://db") && why.contains("MS-NO-SECRET"),
        "{why}"
    );
    let why = start("hunter2").err().unwrap().text;
    assert!(why.contains("refers to no secret"), "{why}");
}
