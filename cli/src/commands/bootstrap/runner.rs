//! Runs scripts on machines, each with a time in which it has to end.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A script on a machine.
#[derive(Debug, Clone)]
pub struct Script {
    pub via: Vec<String>,
    pub text: String,
    pub within: Duration,
}

/// How it ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// None where it was ended, or never began.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Script {
    /// Whatever happens is told as if the script had said it.
    pub async fn run(self) -> Ended {
        let within = self.within;
        let ended = tokio::time::timeout(within, self.whole()).await;
        let never = |why: String| Ended {
            code: None,
            stdout: String::new(),
            stderr: why,
        };
        match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => never(error),
            Err(_) => never(format!("it did not end within {} s", within.as_secs())),
        }
    }

    async fn whole(self) -> Result<Ended, String> {
        let mut words = self.via.iter().map(String::as_str).chain(["sh"]);
        let program = words.next().unwrap_or("sh");
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program} cannot be run: {error}"))?;
        let mut stdin = child.stdin.take();
        let write = async {
            if let Some(stdin) = &mut stdin {
                // Where nobody reads it, the end of the program says why.
                let _ = stdin.write_all(self.text.as_bytes()).await;
            }
            drop(stdin);
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output.map_err(|error| error.to_string())?;
        Ok(Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Ended {
    /// Its last words: the reason and the code of a problem in four lines, else the last line.
    pub fn last_words(&self) -> String {
        let lines = || {
            self.stderr
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
        };
        let why = lines()
            .filter_map(|line| line.strip_prefix("why: "))
            .next_back();
        let code = lines().rfind(|line| line.starts_with("MS-"));
        let code = code.and_then(|line| line.split(' ').next());
        match (why, code) {
            (Some(why), Some(code)) => format!("{why} ({code})"),
            (Some(why), None) => why.to_owned(),
            (None, _) => match (lines().next_back(), self.code) {
                (Some(last), _) => last.to_owned(),
                (None, Some(code)) => format!("it ended with exit code {code} and said nothing"),
                (None, None) => "it was killed".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_reason_that_a_command_gave() {
        let of = |stderr: &str, code| {
            let ended = Ended {
                code,
                stdout: String::new(),
                stderr: stderr.to_owned(),
            };
            ended.last_words()
        };
        let four = "joining\nerror: join\n  why: it is full\n  do:  mainstay status\n  MS-DISK-FULL (request -)\n";
        assert_eq!(of(four, Some(10)), "it is full (MS-DISK-FULL)");
        assert_eq!(
            of("a\nConnection refused\n\n", Some(255)),
            "Connection refused"
        );
        assert!(of("", Some(3)).contains("exit code 3"));
        assert_eq!(of("", None), "it was killed");
    }

    #[tokio::test]
    async fn a_script_comes_by_standard_input_and_ends_in_its_time() {
        let run = |text: &str, via: &[&str], millis| Script {
            via: via.iter().map(|word| (*word).to_owned()).collect(),
            text: text.to_owned(),
            within: Duration::from_millis(millis),
        };
        let ended = run("echo out; echo err >&2; exit 3\n", &["env"], 20_000)
            .run()
            .await;
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
        let slow = run("sleep 100\n", &[], 50).run().await;
        assert!(slow.last_words().contains("did not end"), "{slow:?}");
        let none = run("", &["/nowhere/ssh"], 20_000).run().await;
        assert!(
            none.last_words().contains("/nowhere/ssh cannot be run"),
            "{none:?}"
        );
    }
}
