//! `service` and `order`: what can be ordered, and what was.

use mainstay_api::client::OrderFilter;
use mainstay_api::types::{
    Exact, Order, OrderDetail, OrderParameter, OrderRequest, Service, ServiceParameter,
};
use mainstay_api::{Client, Exit, Problem};
use mainstay_protocol::code;
use mainstay_protocol::words::nearest;

use super::definitions::{self, Applied};
use super::run as runs;
use crate::app::App;
use crate::arguments::{
    OrderArguments, OrderCommand, OrderListArguments, OrderPlaceArguments, ServiceCommand,
};
use crate::outcome::Outcome;
use crate::table::{Cell, Look, Table};
use crate::text::{age_of, laid_out, one_line};

pub async fn run(app: &mut App<'_>, command: ServiceCommand) -> Outcome {
    match command {
        ServiceCommand::Register(arguments) => {
            definitions::apply(app, Applied::Service, &arguments).await
        }
        ServiceCommand::List => {
            let all = app.client().await?.services().await?;
            let reference = |one: &Service| format!("service/{}", one.id);
            app.console
                .list(&all, reference, &services(&all), "there is no service")?;
            Ok(Exit::Ok)
        }
        ServiceCommand::Show(one) => {
            let client = app.client().await?;
            let id = id_of(&client, &one.service).await?;
            let shown = client.service(&id).await?;
            app.console
                .answer(&shown, &[format!("service/{id}")], |look| {
                    described(&shown, look)
                })?;
            Ok(Exit::Ok)
        }
        ServiceCommand::Delete(one) => {
            let client = app.client().await?;
            let id = id_of(&client, &one.service).await?;
            let accepted = client.delete_service(&id).await?;
            let references = [format!("service/{id}")];
            app.console.done(&accepted, &references, &accepted.text)?;
            Ok(Exit::Ok)
        }
    }
}

pub async fn order(app: &mut App<'_>, arguments: OrderArguments) -> Outcome {
    match (arguments.command, arguments.placed) {
        (Some(OrderCommand::List(arguments)), _) => list(app, arguments).await,
        (Some(OrderCommand::Show(one)), _) => {
            let detail = app.client().await?.order(one.id.as_str()).await?;
            app.console
                .answer(&detail, &[format!("run/{}", one.id)], |look| {
                    ordered(&detail, look)
                })?;
            Ok(Exit::Ok)
        }
        (None, Some(placed)) => place(app, placed).await,
        (None, None) => {
            let why = "it does not say of what: mainstay service list shows what there is";
            Err(Problem::new(code::BAD_REQUEST, "order", why))
        }
    }
}

async fn place(app: &mut App<'_>, arguments: OrderPlaceArguments) -> Outcome {
    let id = arguments.id.unwrap_or_else(runs::made_up);
    let parameters = arguments.parameters.into_iter();
    let request = OrderRequest {
        id: Some(id.to_string()),
        service: arguments.service,
        name: arguments.words,
        parameters: parameters
            .map(|(name, value)| OrderParameter {
                name,
                value: Exact(value),
            })
            .collect(),
    };
    let client = app.client().await?;
    let accepted = client.place_order(&request).await?;
    if arguments.no_wait {
        return runs::done(app, &id, Ok(accepted));
    }
    app.console.say(&accepted.text);
    let detail = runs::at_its_end(app, &client, (&id, Some(accepted.revision))).await?;
    let shown = client.order(id.as_str()).await?;
    app.console
        .answer(&shown, &[format!("run/{id}")], |look| ordered(&shown, look))?;
    runs::came_to(&detail.run)
}

async fn list(app: &mut App<'_>, arguments: OrderListArguments) -> Outcome {
    let client = app.client().await?;
    let filter = OrderFilter {
        service: arguments.of,
        status: arguments.status,
    };
    let all = client.orders(&filter).await?;
    if let (true, Some(service)) = (all.is_empty(), &filter.service) {
        is_known(&client, service).await?;
    }
    let reference = |one: &Order| format!("run/{}", one.id);
    app.console
        .list(&all, reference, &orders(&all), "there is no order")?;
    Ok(Exit::Ok)
}

/// Of a service that never was there are no orders either, and somebody misspelt it.
async fn is_known(client: &Client, wanted: &str) -> Result<(), Problem> {
    let all = client.services().await?;
    let names = || {
        all.iter()
            .flat_map(|one| [one.name.as_str(), one.id.as_str()])
    };
    if names().any(|name| name == wanted) {
        return Ok(());
    }
    let what = format!("list the orders of {wanted}");
    let why = format!(
        "no service is registered with the id or the name \"{wanted}\", and nothing was ordered of one"
    );
    let near = nearest(wanted, names());
    Err(Problem::new(code::SERVICE_UNKNOWN, what, why).near(near))
}

/// By the name of one alone; anything else is an id.
async fn id_of(client: &Client, wanted: &str) -> Result<String, Problem> {
    let all = client.services().await?;
    if all.iter().any(|one| one.id == wanted) {
        return Ok(wanted.to_owned());
    }
    let named: Vec<&Service> = all.iter().filter(|one| one.name == wanted).collect();
    match named.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Ok(wanted.to_owned()),
        several => {
            let ids: Vec<&str> = several.iter().map(|one| one.id.as_str()).collect();
            let what = format!("find the service {wanted}");
            let why = format!(
                "several are called so: name one by its id, of {}",
                ids.join(", ")
            );
            Err(Problem::new(code::BAD_REQUEST, what, why))
        }
    }
}

fn services(all: &[Service]) -> Table {
    let headings = [
        "NAME",
        "SERVICE",
        "MODEL",
        "ORDERED",
        "PARAMETERS",
        "GENERATION",
        "BY",
        "SINCE",
        "DESCRIPTION",
    ];
    let mut table =
        Table::new(&headings).wide_only(&["PARAMETERS", "GENERATION", "BY", "DESCRIPTION"]);
    for one in all {
        let parameters: Vec<&str> = one.parameters.iter().map(|of| of.name.as_str()).collect();
        table.row(vec![
            Cell::new(one_line(&one.name)),
            Cell::new(&one.id),
            Cell::new(&one.model),
            Cell::new(if one.orderable { "yes" } else { "no" }),
            Cell::new(parameters.join(", ")),
            Cell::new(one.generation.to_string()),
            Cell::new(&one.by),
            Cell::new(age_of(one.since)),
            Cell::new(one_line(one.description.as_deref().unwrap_or_default())),
        ]);
    }
    table
}

/// The row, what an order says, and the description as it can be written into a file again.
fn described(one: &Service, look: Look) -> String {
    let mut text = services(std::slice::from_ref(one)).render(look);
    if !one.parameters.is_empty() {
        text = format!("{text}\n{}", parameters(&one.parameters).render(look));
    }
    match &one.definition {
        Some(Exact(json)) => format!("{text}\n{}\n", laid_out(json)),
        None => text,
    }
}

fn parameters(all: &[ServiceParameter]) -> Table {
    let mut table = Table::new(&[
        "PARAMETER",
        "TYPE",
        "NEEDED",
        "DEFAULT",
        "OPTIONS",
        "DESCRIPTION",
    ]);
    for one in all {
        let needed = match (one.constant, one.optional || one.default.is_some()) {
            (true, _) => "constant",
            (false, true) => "no",
            (false, false) => "yes",
        };
        let of = match &one.unit {
            Some(unit) => format!("{} ({unit})", one.of),
            None => one.of.clone(),
        };
        let default = one.default.as_ref().map(|Exact(json)| json.to_string());
        let options: Vec<&str> = one.options.iter().map(|option| option.0.as_str()).collect();
        table.row(vec![
            Cell::new(&one.name),
            Cell::new(of),
            Cell::new(needed),
            Cell::new(one_line(&default.unwrap_or_default())),
            Cell::new(one_line(&options.join(", "))),
            Cell::new(one_line(one.description.as_deref().unwrap_or_default())),
        ]);
    }
    table
}

fn orders(all: &[Order]) -> Table {
    let headings = [
        "ORDER", "OF", "STATUS", "ORDERED", "NAME", "SERVICE", "BY", "REASON",
    ];
    let mut table = Table::new(&headings).wide_only(&["SERVICE", "BY"]);
    for one in all {
        let reason = one.reason.as_ref().map(|reason| one_line(&reason.text));
        table.row(vec![
            Cell::new(&one.id),
            Cell::new(one_line(&one.service_name)),
            Cell::state(&one.status),
            Cell::new(age_of(one.ordered)),
            Cell::new(one_line(one.name.as_deref().unwrap_or_default())),
            Cell::new(&one.service),
            Cell::new(&one.by),
            Cell::new(reason.unwrap_or_default()),
        ]);
    }
    table
}

/// What it is, its steps, and what each left behind.
fn ordered(detail: &OrderDetail, look: Look) -> String {
    let order = &detail.order;
    let mut lines = vec![format!(
        "order:     {} of {} ({})",
        order.id,
        one_line(&order.service_name),
        order.service
    )];
    lines.extend(
        order
            .name
            .as_deref()
            .map(|name| format!("name:      {}", one_line(name))),
    );
    lines.push(format!("status:    {}", order.status));
    let reason = order.reason.as_ref();
    lines.extend(reason.map(|one| format!("reason:    {} ({})", one_line(&one.text), one.code)));
    lines.push(format!(
        "ordered:   {} ago, by {}",
        age_of(order.ordered),
        order.by
    ));
    lines.push(format!(
        "given:     {}",
        one_line(&detail.parameters.0.to_string())
    ));
    let products = detail.products.0.members();
    let said = |text: &str| {
        let lines = text.lines().map(|line| format!("  {line}\n"));
        lines.collect::<String>()
    };
    let results = detail.steps.iter().filter_map(|step| {
        let result = products.get(&step.activity)?.member("result")?.as_text()?;
        (!result.is_empty()).then(|| format!("\n{}:\n{}", step.activity, said(&result)))
    });
    let steps = runs::draw::steps(&detail.steps).render(look);
    format!(
        "{}\n\n{steps}{}",
        lines.join("\n"),
        results.collect::<String>()
    )
}
