//! The stations of a dev cluster behind the first: each runs, and is then added.

use std::time::{Duration, Instant};

use mainstay_api::{Client, Problem};
use mainstay_protocol::{Address, code};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::layout::Layout;
use crate::text::span;

/// Between two looks at a station that is coming up.
const LOOK: Duration = Duration::from_millis(20);

/// A station that is to be in the group.
#[derive(Debug)]
pub struct Joining {
    pub name: String,
    /// Where the others reach it.
    address: Address,
}

impl Joining {
    pub fn all(layout: &Layout) -> Vec<Self> {
        let joining = layout.size.stations().skip(1);
        let of = |name: String| Self {
            address: layout.address(&name),
            name,
        };
        joining.map(of).collect()
    }

    /// One after the other: a group changes one member at a time. A member already is none that changes.
    pub async fn add(joining: &[Self], client: &Client, timeout: Duration) -> Result<(), Problem> {
        let client = client.clone().with_timeout(timeout);
        let begun = Instant::now();
        for one in joining {
            let address = one.address.to_string();
            // Before that there is nobody to be added.
            while TcpStream::connect(&address).await.is_err() {
                if begun.elapsed() >= timeout {
                    return Err(one.never_came(timeout));
                }
                sleep(LOOK).await;
            }
            client.add_station(&one.name, &address).await?;
        }
        Ok(())
    }

    fn never_came(&self, timeout: Duration) -> Problem {
        let (name, address) = (&self.name, &self.address);
        let why = format!("it does not listen on {address} after {}", span(timeout));
        Problem::new(code::TIMEOUT, format!("start {name}"), why).to_do("mainstay dev -v")
    }
}
