//! A process's ports: the numbers it asks for, or free ones; none that somebody else listens on.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use super::config::PortWish;
use crate::types::listening::whose;

/// In the environment of the process, followed by the port's name.
pub(super) const VARIABLE: &str = "MAINSTAY_PORT_";
/// Numbers tried before it is given up: each was free a moment before.
const TRIES: usize = 16;

/// By name.
pub(super) type Ports = BTreeMap<String, u16>;

/// Those that earlier incarnations had are taken again where they are free, so that who knows a process finds it.
pub(super) fn allocate(wishes: &[PortWish], earlier: &Ports) -> Result<Ports, String> {
    // Each is held until all are chosen, so that no two are the same.
    let mut held = Vec::new();
    let mut ports = Ports::new();
    for PortWish { name, number } in wishes {
        let (listener, number) = match number {
            Some(number) => (
                listen(*number).map_err(|error| busy(name, *number, &error))?,
                *number,
            ),
            None => free(earlier.get(name).copied())
                .map_err(|error| format!("no free port for {name}: {error}"))?,
        };
        held.push(listener);
        ports.insert(name.clone(), number);
    }
    Ok(ports)
}

/// The ports in an environment that was made here.
pub(super) fn in_environment(environment: &[(String, String)]) -> Ports {
    environment
        .iter()
        .filter_map(|(key, value)| {
            Some((key.strip_prefix(VARIABLE)?.to_owned(), value.parse().ok()?))
        })
        .collect()
}

fn free(earlier: Option<u16>) -> io::Result<(TcpListener, u16)> {
    if let Some(number) = earlier
        && let Ok(listener) = listen(number)
    {
        return Ok((listener, number));
    }
    for _ in 0..TRIES {
        let number = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        if let Ok(listener) = listen(number) {
            return Ok((listener, number));
        }
    }
    Err(ErrorKind::AddrInUse.into())
}

/// On all addresses, so that whoever listens on any of them is noticed.
fn listen(number: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, number)) {
        // Machines without the newer addresses.
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::AddrInUse | ErrorKind::PermissionDenied
            ) =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, number))
        }
        listening => listening,
    }
}

fn busy(name: &str, number: u16, error: &io::Error) -> String {
    if error.kind() != ErrorKind::AddrInUse {
        return format!("the port {name} ({number}) cannot be used: {error}");
    }
    format!("the port {name} ({number}) is busy: {}", whose(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(name: &str, number: Option<u16>) -> PortWish {
        PortWish {
            name: name.to_owned(),
            number,
        }
    }

    #[test]
    fn free_ports_differ_and_are_kept_where_they_can_be() {
        let wishes = [wish("a", None), wish("b", None)];
        let first = allocate(&wishes, &Ports::new()).unwrap();
        assert_ne!(first["a"], first["b"]);
        assert_eq!(allocate(&wishes, &first).unwrap(), first);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first["a"])).unwrap();
        let second = allocate(&wishes, &first).unwrap();
        assert_ne!(second["a"], first["a"]);
        assert_eq!(second["b"], first["b"]);
        drop(taken);
    }

    // acceptance: 1
    #[test]
    fn a_busy_port_is_refused_with_who_has_it() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = taken.local_addr().unwrap().port();
        let error = allocate(&[wish("http", Some(number))], &Ports::new()).unwrap_err();
        let words = format!(
            "the port http ({number}) is busy: process {}",
            std::process::id()
        );
        assert!(error.starts_with(&words), "{error}");
        drop(taken);
        allocate(&[wish("http", Some(number))], &Ports::new()).unwrap();
    }
}
