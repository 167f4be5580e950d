//! Users and groups by name or number, from the machine's files.

use std::fs;

/// Who a process is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// None: as we are.
pub fn resolve(user: Option<&str>, group: Option<&str>) -> Result<Option<Account>, String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    resolve_in(&passwd, &groups, user, group)
}

fn resolve_in(
    passwd: &str,
    groups: &str,
    user: Option<&str>,
    group: Option<&str>,
) -> Result<Option<Account>, String> {
    let gid = group.map(|group| gid_of(groups, group)).transpose()?;
    let Some(user) = user else {
        return Ok(gid.map(|gid| Account {
            uid: rustix::process::geteuid().as_raw(),
            gid,
            groups: vec![gid],
        }));
    };
    let fields = |line: &str| -> Option<(String, u32, u32)> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        Some((name, uid, fields.next()?.parse().ok()?))
    };
    let known = passwd
        .lines()
        .filter_map(fields)
        .find(|(name, uid, _)| name == user || user.parse() == Ok(*uid));
    let (name, uid, primary) = match (known, user.parse::<u32>()) {
        (Some(known), _) => known,
        // A number needs no entry, but then a group of its own.
        (None, Ok(uid)) => (String::new(), uid, uid),
        (None, Err(_)) => return Err(format!("there is no user \"{user}\"")),
    };
    let gid = gid.unwrap_or(primary);
    let mut all = vec![gid];
    all.extend(groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let gid: u32 = fields.nth(2)?.parse().ok()?;
        let member = fields.next()?.split(',').any(|member| member == name);
        (member && !name.is_empty()).then_some(gid)
    }));
    all.sort_unstable();
    all.dedup();
    Ok(Some(Account {
        uid,
        gid,
        groups: all,
    }))
}

fn gid_of(groups: &str, group: &str) -> Result<u32, String> {
    let known = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid: u32 = fields.nth(1)?.parse().ok()?;
        (name == group).then_some(gid)
    });
    known
        .or_else(|| group.parse().ok())
        .ok_or_else(|| format!("there is no group \"{group}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:w:/:/x\n";
    const GROUPS: &str = "root:x:0:\nweb:x:34:\nlogs:x:4:www,root\nother:x:5:wwwx\n";

    #[test]
    fn users_and_groups_are_found_by_name_and_number() {
        let resolve = |user, group| resolve_in(PASSWD, GROUPS, user, group);
        let www = Account {
            uid: 33,
            gid: 34,
            groups: vec![4, 34],
        };
        assert_eq!(resolve(Some("www"), None), Ok(Some(www.clone())));
        assert_eq!(resolve(Some("33"), None), Ok(Some(www)));
        let other = resolve(Some("www"), Some("other")).unwrap().unwrap();
        assert_eq!((other.gid, other.groups), (5, vec![4, 5]));
        let number = resolve(Some("777"), None).unwrap().unwrap();
        assert_eq!(
            (number.uid, number.gid, number.groups),
            (777, 777, vec![777])
        );
        assert_eq!(resolve(None, None), Ok(None));
        assert_eq!(resolve(None, Some("web")).unwrap().unwrap().gid, 34);
        assert!(
            resolve(Some("nobody-here"), None)
                .unwrap_err()
                .contains("nobody-here")
        );
        assert!(
            resolve(None, Some("none"))
                .unwrap_err()
                .contains("group \"none\"")
        );
    }
}
