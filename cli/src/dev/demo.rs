//! The demo as a dev cluster is given it: a file that people can read, change and apply again, and nothing else.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_api::types::{PlanChange, PlanMode, Until, WaitRequest};
use mainstay_api::{Client, Problem};

use super::layout::Layout;
use crate::commands::{apply, wishes};
use crate::console::Console;
use crate::demo::{WEB_ADDRESS, read_address};
use crate::files::Wish;
use crate::outcome::machine;

/// With `@PLACEHOLDERS@`.
const FILE: &str = include_str!("demo.yaml.in");
/// The node whose web page it is, if there are so many.
const WEB_NODE: u16 = 3;

#[derive(Debug)]
pub struct Demo {
    pub file: PathBuf,
    directory: PathBuf,
    wishes: Vec<Wish>,
}

impl Demo {
    /// Writes its file, and reads it as `apply -f` does.
    pub fn prepare(
        console: &mut Console<'_>,
        program: &Path,
        layout: &Layout,
        nodes: u16,
    ) -> Result<Self, Problem> {
        let directory = layout.demo();
        let file = directory.join("demo.yaml");
        fs::write(&file, text(program, &directory, &file, nodes)?)
            .map_err(|error| machine(format!("write {}", file.display()), error))?;
        let wishes = wishes::read(console, &[path(&file)?.to_owned()])?;
        Ok(Self {
            file,
            directory,
            wishes,
        })
    }

    /// All of it at once: what waits for what is the coordinator's business.
    pub async fn runs(&self, client: &Client, timeout: Duration) -> Result<(), Problem> {
        let plan = client
            .plan(&wishes::request(&self.wishes, PlanMode::Apply))
            .await?;
        let pending: Vec<&PlanChange> = plan.pending().collect();
        let accepted = client.apply(&apply::request(&pending)?).await?;
        for change in pending {
            let request = WaitRequest {
                reference: change.reference.clone(),
                until: Until::Running,
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                unless_blocked: false,
                after_revision: accepted.revision,
            };
            client.wait(&request).await?;
        }
        Ok(())
    }

    /// Where its web page is. It says so itself, before it counts as started.
    pub fn page(&self) -> Result<String, Problem> {
        let address: SocketAddr = read_address(&self.directory.join(WEB_ADDRESS))
            .map_err(|error| machine("find the demo's page", error))?;
        Ok(format!("http://{address}/"))
    }
}

fn text(program: &Path, directory: &Path, file: &Path, nodes: u16) -> Result<String, Problem> {
    Ok(FILE
        .replace("@PROGRAM@", &quoted(path(program)?))
        .replace("@DIRECTORY@", &quoted(path(directory)?))
        .replace("@FILE@", path(file)?)
        .replace("@WEB_NODE@", &format!("n{}", nodes.min(WEB_NODE))))
}

fn path(path: &Path) -> Result<&str, Problem> {
    path.to_str().ok_or_else(|| {
        let why = format!("{} is not UTF-8, and files of wishes are", path.display());
        machine("write the demo's file", why).to_do("mainstay dev --no-demo")
    })
}

/// A JSON text is a YAML text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn the_file_is_read_whatever_the_directories_are_called() {
        let directory = tempfile::tempdir().unwrap();
        for (nodes, web_node) in [(1, "n1"), (2, "n2"), (5, "n3")] {
            let file = directory.path().join("demo.yaml");
            let odd = Path::new("/a \"b\": #c/mainstay");
            fs::write(&file, text(odd, odd, &file, nodes).unwrap()).unwrap();
            let paths = [file.to_str().unwrap().to_owned()];
            let sources = files::sources(&paths, &mut std::io::empty()).unwrap();
            let wishes = files::documents(&sources, mainstay_api::shapes::Reader::Plan).unwrap();
            let names: Vec<_> = wishes.iter().map(|wish| wish.name.as_deref()).collect();
            assert_eq!(names, [Some("db"), Some("worker"), Some("web")]);
            assert_eq!(wishes[0].spec["config"]["cwd"], "/a \"b\": #c/mainstay");
            assert_eq!(wishes[2].spec["target"]["nodes"][0], web_node);
        }
    }
}
