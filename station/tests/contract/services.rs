//! Services and orders over the API: what is registered, and what each refusal says.

use mainstay_api::client::OrderFilter;
use mainstay_api::types::{Exact, OrderParameter, OrderRequest};
use mainstay_api::{Exit, Problem, routes};
use mainstay_protocol::Json;
use mainstay_protocol::code::{self, Code};
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn exact(value: &Value) -> Exact {
    Exact(Json::parse(&value.to_string()).unwrap())
}

fn service(id: &str, controller: &Value) -> Value {
    json!({"$schema": "urn:ivcap:schema:service.2", "id": id, "name": "cv", "controller": controller,
        "parameters": [{"name": "n", "type": "int"}]})
}

fn basic() -> Value {
    json!({"$schema": "urn:ivcap:schema:service.basic.1", "image": "i", "command": ["echo", "{{inputs.parameters.n}}"]})
}

fn order(service: &str, parameters: &[(&str, Value)]) -> OrderRequest {
    let parameters = parameters.iter();
    OrderRequest {
        id: None,
        service: service.to_owned(),
        name: None,
        parameters: parameters
            .map(|(name, value)| OrderParameter {
                name: (*name).to_owned(),
                value: exact(value),
            })
            .collect(),
    }
}

fn told(problem: &Problem) -> (u16, Exit, Code) {
    (problem.status, problem.exit, problem.code.clone())
}

// case: orchestrations 63, 66
// acceptance: issue 6, line 3
// proves: M1, M3, M4, M6
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_ordered_is_refused_each_in_its_own_way() {
    let (cluster, _agents) = Cluster::with(&["n1"]).await;
    let client = &cluster.client;
    let register = |description: Value| async move {
        let path = routes::SERVICE_CREATE.path;
        let put: Result<Value, Problem> = client.post(path, &exact(&description)).await;
        put
    };
    register(service("urn:s:1", &basic())).await.unwrap();
    let again = register(service("urn:s:1", &basic())).await.unwrap_err();
    assert_eq!(told(&again), (409, Exit::Conflict, code::EXISTS));
    let hosted = json!({"$schema": "urn:ivcap:schema:service.service-proxy.1"});
    register(service("urn:s:2", &hosted)).await.unwrap();

    let foo = json!({"$schema": "urn:ivcap:schema:service.foo.9"});
    let unknown = register(service("urn:s:3", &foo)).await.unwrap_err();
    assert_eq!(told(&unknown), (422, Exit::Usage, code::CONTROLLER_UNKNOWN));
    assert_eq!(unknown.faults[0].pointer, "/controller/$schema");
    let wrong = json!({"$schema": "urn:ivcap:schema:service.basic.1", "memory": {"limit": "much"}});
    let wrong = register(service("urn:s:3", &wrong)).await.unwrap_err();
    assert_eq!(told(&wrong), (400, Exit::Usage, code::BAD_DEFINITION));
    let pointers: Vec<&str> = wrong
        .faults
        .iter()
        .map(|fault| fault.pointer.as_str())
        .collect();
    assert_eq!(pointers, ["/controller/image", "/controller/memory/limit"]);

    let refused =
        |request: OrderRequest| async move { client.place_order(&request).await.unwrap_err() };
    let n = ("n", json!(1));
    let absent = refused(order("urn:s:7", std::slice::from_ref(&n))).await;
    assert_eq!(told(&absent), (404, Exit::NotFound, code::SERVICE_UNKNOWN));
    let hosted = refused(order("urn:s:2", &[])).await;
    assert_eq!(
        told(&hosted),
        (409, Exit::Refused, code::CONTROLLER_NOT_ORDERABLE)
    );
    let both = refused(order("cv", std::slice::from_ref(&n))).await;
    assert!(both.why.contains("urn:s:1, urn:s:2"), "{both}");
    let given = [("m", json!("x")), ("n", json!([1]))];
    let wrong = refused(order("urn:s:1", &given)).await;
    assert_eq!(told(&wrong), (422, Exit::Usage, code::BAD_PARAMETERS));
    let pointers: Vec<&str> = wrong
        .faults
        .iter()
        .map(|fault| fault.pointer.as_str())
        .collect();
    assert_eq!(pointers, ["/parameters/m", "/parameters/n"]);
    let nobody = refused(order("urn:s:1", &[n])).await;
    assert_eq!(told(&nobody), (409, Exit::Refused, code::UNSERVED));
    assert!(nobody.why.contains("workload"), "{nobody}");
    let none = client.orders(&OrderFilter::default()).await.unwrap();
    assert!(none.is_empty() && client.order("o1").await.is_err());

    let shown = client.service("urn:s:1").await.unwrap();
    assert!(shown.orderable && shown.parameters.len() == 1, "{shown:?}");
    client.delete_service("urn:s:1").await.unwrap();
    let gone = client.service("urn:s:1").await.unwrap_err();
    assert_eq!(gone.status, 404);
}
