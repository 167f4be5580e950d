//! `answer`: what an instance asked and no rule answers is answered by hand.

use mainstay_api::Exit;

use crate::app::App;
use crate::arguments::AnswerArguments;
use crate::outcome::Outcome;

pub async fn run(app: &mut App<'_>, arguments: &AnswerArguments) -> Outcome {
    let client = app.client().await?;
    let accepted = client.answer(&arguments.id, &arguments.answer).await?;
    app.console.answer(&accepted, &accepted.instances, |_| {
        format!("{}\n", accepted.text)
    })?;
    Ok(Exit::Ok)
}
